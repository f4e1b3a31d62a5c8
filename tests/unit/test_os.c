/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_os.c - os.h: memory, sleeping, processes. What it promises about the lock that
 * ends with a process is in test_os_liveness.c, about sockets in test_os_socket.c.
 */

#define _GNU_SOURCE

#include "os.h"

#include "common.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

#define HUGE_BYTES (UINT64_C(2) << 20)
#define HUGE_POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/"

static int new_memory(uint64_t bytes)
{
	int fd = -1;

	cr_assert_eq(evri_os_memory_create("evering-test", bytes, 4096, &fd), 0);
	cr_assert_geq(fd, 0);
	return fd;
}

/* ---- memory ---- */

Test(os, memory_can_neither_shrink_nor_grow)
{
	int fd = new_memory(3 * 4096);

	cr_assert_eq(ftruncate(fd, 4096), -1);
	cr_assert_eq(errno, EPERM);
	cr_assert_eq(ftruncate(fd, 5 * 4096), -1);
	cr_assert_eq(errno, EPERM);
	cr_assert_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	cr_assert_eq(errno, EPERM);
}

Test(os, memory_is_closed_in_a_program_started_by_exec)
{
	cr_assert(fcntl(new_memory(4096), F_GETFD) & FD_CLOEXEC);
}

Test(os, a_size_that_does_not_fit_is_refused_and_leaves_the_result_alone)
{
	static const struct {
		uint64_t bytes;
		uint64_t page_bytes;
	} misfits[] = {
		{ 0, 4096 }, { 4095, 4096 }, { 4097, 4096 }, { UINT64_MAX - 4095, 4096 },
		{ 4096, 0 }, { 4096, 1 },    { 8192, 8192 }, { 4096, HUGE_BYTES },
	};
	int fd = -77;
	size_t i;

	for (i = 0; i < COUNT_OF(misfits); i++)
		cr_assert_eq(evri_os_memory_create("evering-test", misfits[i].bytes,
						   misfits[i].page_bytes, &fd),
			     -EINVAL, "misfit %zu", i);
	cr_assert_eq(fd, -77);
}

Test(os, memory_beyond_the_file_size_limit_is_an_error_and_not_a_signal)
{
	struct rlimit limit = { .rlim_cur = 4096, .rlim_max = RLIM_INFINITY };
	int fd = -77;

	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = 4096;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	cr_assert_eq(evri_os_memory_create("evering-test", 8192, 4096, &fd), -EFBIG);
	cr_assert_eq(fd, -77);
	cr_assert_eq(evri_os_memory_create("evering-test", 4096, 4096, &fd), 0);
}

Test(os, inspecting_memory_tells_its_size_pages_seals_and_mode)
{
	struct evri_os_memory_info info;
	int fd = new_memory(3 * 4096);
	int read_only;
	char path[64];

	cr_assert_eq(evri_os_memory_inspect(fd, &info), 0);
	cr_assert_eq(info.bytes, 3 * 4096);
	cr_assert_eq(info.page_bytes, 4096);
	cr_assert_eq(info.seals & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
		     F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	cr_assert(info.writable);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	read_only = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert_geq(read_only, 0);
	cr_assert_eq(evri_os_memory_inspect(read_only, &info), 0);
	cr_assert_not(info.writable);
}

Test(os, inspecting_what_is_no_memory_says_so)
{
	struct evri_os_memory_info info = { .bytes = 77 };
	int sockets[2];
	int pipes[2];

	cr_assert_eq(pipe(pipes), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	cr_assert_eq(evri_os_memory_inspect(pipes[0], &info), -EMEDIUMTYPE);
	cr_assert_eq(evri_os_memory_inspect(sockets[0], &info), -EMEDIUMTYPE);
	cr_assert_eq(evri_os_memory_inspect(open("/", O_RDONLY), &info), -EMEDIUMTYPE);
	/* A file, wherever this program may lie. (a tmpfs is memory) */
	cr_assert_eq(evri_os_memory_inspect(open("/proc/self/status", O_RDONLY), &info),
		     -EMEDIUMTYPE);
	cr_assert_eq(evri_os_memory_inspect(open("/dev/zero", O_RDWR), &info),
		     -EMEDIUMTYPE);
	cr_assert_eq(evri_os_memory_inspect(-1, &info), -EBADF);
	cr_assert_eq(evri_os_memory_inspect(1 << 20, &info), -EBADF);
	cr_assert_eq(info.bytes, 77);
}

Test(os, two_maps_of_one_memory_show_the_same_bytes)
{
	int fd = new_memory(8192);
	void *first = NULL;
	void *second = NULL;

	cr_assert_eq(evri_os_memory_map(fd, 8192, 4096, &first), 0);
	cr_assert_eq(evri_os_memory_map(fd, 8192, 4096, &second), 0);
	cr_assert_neq(first, second);
	memset(first, 0x5a, 8192);
	cr_assert_eq(memcmp(first, second, 8192), 0);
	evri_os_memory_unmap(first, 8192);
	cr_assert_eq(*(unsigned char *)second, 0x5a);
	evri_os_memory_unmap(second, 8192);
	evri_os_memory_unmap(NULL, 8192);
}

Test(os, a_map_is_aligned_as_asked)
{
	const uint64_t aligned_bytes = UINT64_C(16) << 20;
	int fd = new_memory(aligned_bytes);
	int i;

	for (i = 0; i < 8; i++) {
		unsigned char *address = NULL;
		void *small = NULL;

		/* The small one in between makes the next address an odd one. */
		cr_assert_eq(evri_os_memory_map(fd, 4096, 4096, &small), 0);
		cr_assert_eq(evri_os_memory_map(fd, aligned_bytes, aligned_bytes,
						(void **)&address),
			     0);
		cr_assert_eq((uintptr_t)address % aligned_bytes, 0);
		address[0] = 1;
		address[aligned_bytes - 1] = 1;
	}
}

Test(os, a_map_that_is_refused_leaves_the_result_alone)
{
	int fd = new_memory(8192);
	void *address = &fd;

	cr_assert_eq(evri_os_memory_map(fd, 0, 4096, &address), -EINVAL);
	cr_assert_eq(evri_os_memory_map(fd, 8192, 0, &address), -EINVAL);
	cr_assert_eq(evri_os_memory_map(fd, 8192, 4097, &address), -EINVAL);
	cr_assert_eq(evri_os_memory_map(fd, 5000, 4096, &address), -EINVAL);
	cr_assert_eq(evri_os_memory_map(-1, 8192, 4096, &address), -EBADF);
	cr_assert_eq(address, (void *)&fd);
}

Test(os, populating_makes_every_page_real)
{
	unsigned char resident[64];
	int fd = new_memory(64 * 4096);
	void *address = NULL;
	size_t i;

	cr_assert_eq(evri_os_memory_map(fd, 64 * 4096, 4096, &address), 0);
	cr_assert_eq(mincore(address, 64 * 4096, resident), 0);
	cr_assert_eq(resident[0] & 1, 0, "a page was there before");
	cr_assert_eq(evri_os_memory_populate(address, 64 * 4096), 0);
	cr_assert_eq(mincore(address, 64 * 4096, resident), 0);
	for (i = 0; i < COUNT_OF(resident); i++)
		cr_assert(resident[i] & 1, "page %zu", i);
}

static uint64_t pool_number(const char *name)
{
	unsigned long number = 0;
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), HUGE_POOL "%s", name);
	file = fopen(path, "r");
	if (file == NULL)
		cr_skip_test(
			"this kernel has no 2 MiB pages; boot one with CONFIG_HUGETLBFS");
	cr_assert_eq(fscanf(file, "%lu", &number), 1);
	fclose(file);
	return number;
}

/* More than there can be, however many others take or give back meanwhile. */
static int too_many_huge_pages(uint64_t *ret_bytes)
{
	int fd = -1;

	*ret_bytes = (pool_number("nr_hugepages") +
		      pool_number("nr_overcommit_hugepages") + 2) *
		     HUGE_BYTES;
	cr_assert_eq(evri_os_memory_create("evering-test", *ret_bytes, HUGE_BYTES, &fd),
		     0);
	return fd;
}

Test(os, a_map_of_more_huge_pages_than_there_are_is_an_error)
{
	uint64_t bytes;
	int fd = too_many_huge_pages(&bytes);
	void *address = &fd;

	cr_assert_eq(evri_os_memory_map(fd, bytes, HUGE_BYTES, &address), -ENOMEM);
	cr_assert_eq(address, (void *)&fd);
}

Test(os, populating_more_huge_pages_than_there_are_is_an_error_and_not_a_signal)
{
	uint64_t bytes;
	int fd = too_many_huge_pages(&bytes);
	/* Without a reservation, which is how they can run out after the map. */
	void *address = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_NORESERVE, fd, 0);

	cr_assert_neq(address, MAP_FAILED);
	cr_assert_eq(evri_os_memory_populate(address, bytes), -ENOSPC);
}

/* The test above takes all free pages for a moment, perhaps just now: hence the wait. */
Test(os, huge_pages_are_mapped_populated_and_counted, .timeout = 20)
{
	struct evri_os_memory_info info;
	void *address = NULL;
	int fd = -1;

	if (pool_number("nr_hugepages") == 0 ||
	    !HOLDS_WITHIN(1000, evri_os_huge_pages_free(HUGE_BYTES) > 0))
		cr_skip_test("1 x 2 MiB huge page wanted, 0 free; ./check --reserve as "
			     "root, or echo 1 > " HUGE_POOL "nr_hugepages");
	cr_assert_eq(evri_os_memory_create("evering-test", HUGE_BYTES, HUGE_BYTES, &fd),
		     0);
	cr_assert_eq(evri_os_memory_inspect(fd, &info), 0);
	cr_assert_eq(info.page_bytes, HUGE_BYTES);
	cr_assert(HOLDS_WITHIN(
		5000, evri_os_memory_map(fd, HUGE_BYTES, HUGE_BYTES, &address) == 0));
	cr_assert_eq((uintptr_t)address % HUGE_BYTES, 0);
	cr_assert_eq(evri_os_memory_populate(address, HUGE_BYTES), 0);
	memset(address, 1, HUGE_BYTES);
	cr_assert_lt(evri_os_huge_pages_free(HUGE_BYTES), pool_number("nr_hugepages"));
}

Test(os, a_page_size_that_does_not_exist_has_no_free_pages)
{
	cr_assert_eq(evri_os_huge_pages_free(4096), 0);
	cr_assert_eq(evri_os_huge_pages_free(12345), 0);
}

Test(os, random_bytes_differ_and_fill_the_buffer)
{
	unsigned char first[1024] = { 0 };
	unsigned char second[1024] = { 0 };
	unsigned int nonzero_in_tail = 0;
	size_t i;

	cr_assert_eq(evri_os_random(first, sizeof(first)), 0);
	cr_assert_eq(evri_os_random(second, sizeof(second)), 0);
	cr_assert_neq(memcmp(first, second, sizeof(first)), 0);
	for (i = 0; i < 64; i++)
		nonzero_in_tail += first[sizeof(first) - 1 - i] != 0;
	cr_assert_gt(nonzero_in_tail, 32);
}

/* ---- sleeping ---- */

Test(os, a_futex_wait_returns_at_once_when_the_word_has_another_value, .timeout = 10)
{
	uint32_t word = 5;

	cr_assert_eq(evri_os_futex_wait(&word, 4, EVR_NEVER), 0);
}

Test(os, a_futex_wait_ends_at_its_deadline_and_not_before, .timeout = 10)
{
	uint64_t deadline = evri_os_now_ns() + 30 * MILLISECOND_NS;
	uint32_t word = 5;

	cr_assert_eq(evri_os_futex_wait(&word, 5, deadline), -ETIMEDOUT);
	cr_assert_geq(evri_os_now_ns(), deadline);
	cr_assert_eq(evri_os_futex_wait(&word, 5, 0), -ETIMEDOUT);
}

static void wait_on_word(void *word)
{
	_exit(evri_os_futex_wait(word, 0, EVR_NEVER) == 0 ? 42 : 1);
}

Test(os, a_futex_wake_wakes_a_sleeper_in_another_process, .timeout = 20)
{
	uint32_t *word = shared_memory(4096);
	pid_t child = start_child(wait_on_word, word);
	int status = -1;

	cr_assert(HOLDS_WITHIN(5000, evri_os_futex_wake(word, 1) == 1));
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(WEXITSTATUS(status), 42);
	cr_assert_eq(evri_os_futex_wake(word, 1), 0);
}

static void ignore_signal(int number)
{
	(void)number;
}

static void interrupt_soon(void)
{
	struct sigaction action = { .sa_handler = ignore_signal };
	struct itimerval timer = { .it_value = { .tv_usec = 10000 } };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

Test(os, a_signal_handler_interrupts_a_futex_wait, .timeout = 10)
{
	uint32_t word = 5;

	interrupt_soon();
	cr_assert_eq(evri_os_futex_wait(&word, 5, EVR_NEVER), -EINTR);
}

Test(os, a_futex_that_is_not_mapped_is_an_error)
{
	const uint32_t *nowhere = (const uint32_t *)(uintptr_t)4096;

	cr_assert_eq(evri_os_futex_wait(nowhere, 0, EVR_NEVER), -EFAULT);
	cr_assert_eq(evri_os_futex_wake(nowhere, 1), -EFAULT);
}

/* ---- processes and descriptors ---- */

static void pause_for_ever(void *unused)
{
	(void)unused;
	for (;;)
		pause();
}

Test(os, a_pidfd_sees_the_end_of_a_process_but_not_that_it_is_stopped, .timeout = 20)
{
	pid_t child = start_child(pause_for_ever, NULL);
	int pidfd = -1;
	int status;

	cr_assert_eq(evri_os_pidfd_open(child, &pidfd), 0);
	cr_assert(fcntl(pidfd, F_GETFD) & FD_CLOEXEC);
	cr_assert_eq(evri_os_pidfd_ended(pidfd), 0);
	kill(child, SIGSTOP);
	cr_assert_eq(waitpid(child, &status, WUNTRACED), child);
	cr_assert_eq(evri_os_pidfd_ended(pidfd), 0);
	kill(child, SIGKILL);
	cr_assert(HOLDS_WITHIN(5000, evri_os_pidfd_ended(pidfd) == 1));
	cr_assert_eq(waitpid(child, NULL, 0), child);
	cr_assert_eq(evri_os_pidfd_ended(pidfd), 1);
}

Test(os, a_pid_that_is_none_gives_no_pidfd)
{
	int pidfd = -77;

	cr_assert_eq(evri_os_pidfd_open(0, &pidfd), -EINVAL);
	cr_assert_eq(evri_os_pidfd_open(-1, &pidfd), -EINVAL);
	cr_assert_eq(evri_os_pidfd_open(INT64_C(1) << 32 | 1, &pidfd), -EINVAL);
	cr_assert_eq(evri_os_pidfd_open(INT32_MAX, &pidfd), -ESRCH);
	cr_assert_eq(pidfd, -77);
	cr_assert_eq(evri_os_pidfd_ended(-1), -EBADF);
	cr_assert_eq(evri_os_pid(), getpid());
}

Test(os, a_duplicate_is_close_on_exec_and_never_a_standard_stream)
{
	int fd = new_memory(4096);
	int duplicate = -77;

	close(STDIN_FILENO);
	cr_assert_eq(evri_os_fd_duplicate(fd, &duplicate), 0);
	cr_assert_gt(duplicate, STDERR_FILENO);
	cr_assert(fcntl(duplicate, F_GETFD) & FD_CLOEXEC);
	evri_os_fd_close(fd);
	cr_assert_eq(fcntl(fd, F_GETFD), -1);
	cr_assert_neq(fcntl(duplicate, F_GETFD), -1);
	cr_assert_eq(evri_os_fd_duplicate(-1, &duplicate), -EBADF);
	evri_os_fd_close(-1);
}

#define WRITE_BYTES (1 << 20)

struct writer {
	int fd;
	const char *text;
};

static void write_interrupted(void *argument)
{
	const struct writer *writer = argument;
	struct itimerval often = { { 0, 500 }, { 0, 500 } };
	struct sigaction action = { .sa_handler = ignore_signal };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	_exit(evri_os_write(writer->fd, writer->text, WRITE_BYTES) == 0 ? 42 : 1);
}

Test(os, a_write_goes_on_after_short_writes_and_signal_handlers, .timeout = 30)
{
	char *text = shared_memory(WRITE_BYTES);
	char *arrived = shared_memory(WRITE_BYTES);
	struct writer writer = { .text = text };
	size_t total = 0;
	int status = -1;
	int pipes[2];
	size_t i;
	pid_t child;

	for (i = 0; i < WRITE_BYTES; i++)
		text[i] = (char)(i * 31 % 251);
	cr_assert_eq(pipe(pipes), 0);
	writer.fd = pipes[1];
	child = start_child(write_interrupted, &writer);
	close(pipes[1]);
	while (total < WRITE_BYTES) {
		ssize_t length = read(pipes[0], arrived + total, 4999);

		cr_assert_gt(length, 0, "after %zu bytes", total);
		total += (size_t)length;
		if (total % 7 == 0)
			sleep_ms(1);
	}
	cr_assert_eq(memcmp(text, arrived, WRITE_BYTES), 0);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(WEXITSTATUS(status), 42);
}

Test(os, a_write_to_a_full_disk_is_an_error)
{
	cr_assert_eq(evri_os_write(open("/dev/full", O_WRONLY), "text", 4), -ENOSPC);
	cr_assert_eq(evri_os_write(-1, "text", 4), -EBADF);
}

Test(os, no_call_touches_errno)
{
	struct evri_os_memory_info info;
	uint32_t word = 5;
	void *address;
	int fd;

	errno = ENOTTY;
	evri_os_memory_create("evering-test", 1, 4096, &fd);
	evri_os_memory_create("evering-test", 4096, 4096, &fd);
	evri_os_memory_inspect(-1, &info);
	evri_os_memory_map(-1, 4096, 4096, &address);
	evri_os_memory_populate(NULL, 4096);
	evri_os_huge_pages_free(12345);
	evri_os_futex_wait(&word, 4, EVR_NEVER);
	evri_os_futex_wait(&word, 5, 0);
	evri_os_pidfd_open(INT32_MAX, &fd);
	evri_os_fd_duplicate(-1, &fd);
	evri_os_fd_close(1 << 20);
	evri_os_write(-1, "text", 4);
	cr_assert_eq(errno, ENOTTY);
}

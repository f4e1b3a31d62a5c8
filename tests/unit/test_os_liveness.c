/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_os_liveness.c - os.h: a held byte ends when the process has ended, and with
 * nothing else. The holders here are real processes, killed and stopped.
 */

#define _GNU_SOURCE

#include "os.h"

#include "common.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mount.h>

/* Far behind the end of the file: a byte to lock costs no memory. */
#define BYTE (UINT64_C(1) << 40)

struct play {
	int fd;
	uint32_t held;  /* the holder is there */
	int32_t helper; /* the process that it started */
	int error;
};

static struct play *new_play(void)
{
	struct play *play = shared_memory(4096);

	play->fd = -1;
	cr_assert_eq(evri_os_memory_create("evering-test", 4096, 4096, &play->fd), 0);
	return play;
}

static bool is_held(struct play *play)
{
	int result = evri_os_liveness_test(play->fd, BYTE);

	cr_assert_geq(result, 0, "the probe failed: %d", result);
	return result == 1;
}

static void say_held(struct play *play)
{
	__atomic_store_n(&play->held, 1, __ATOMIC_RELEASE);
}

static bool has_said_held(struct play *play)
{
	return __atomic_load_n(&play->held, __ATOMIC_ACQUIRE) != 0;
}

static void hold_byte(struct play *play)
{
	static struct evri_os_hold hold;
	int error = evri_os_liveness_hold(play->fd, 4096, BYTE, &hold);

	if (error < 0) {
		play->error = error;
		_exit(1);
	}
}

static void hold_and_pause(void *argument)
{
	hold_byte(argument);
	say_held(argument);
	for (;;)
		pause();
}

/* Killed holders are seen free before anybody reaps them: no waitpid() in between. */
static void expect_free_soon_after_kill(struct play *play, pid_t holder)
{
	uint64_t start;

	kill(holder, SIGKILL);
	start = now_ns();
	cr_assert(HOLDS_WITHIN(5000, !is_held(play)), "still held 5 s after the kill");
	/* Measured at 65 us; 100 ms leave room for a busy machine. */
	cr_assert_lt(now_ns() - start, 100 * MILLISECOND_NS);
	cr_assert_eq(waitpid(holder, NULL, 0), holder);
}

Test(os_liveness, a_killed_holder_is_seen_free_within_100_ms_and_before_it_is_reaped,
     .timeout = 20)
{
	struct play *play = new_play();
	pid_t holder;

	cr_assert_not(is_held(play));
	holder = start_child(hold_and_pause, play);
	cr_assert(HOLDS_WITHIN(5000, has_said_held(play)), "hold: %d", play->error);
	cr_assert(is_held(play));
	expect_free_soon_after_kill(play, holder);
}

Test(os_liveness, a_stopped_holder_counts_as_living, .timeout = 20)
{
	struct play *play = new_play();
	pid_t holder = start_child(hold_and_pause, play);
	int status;

	cr_assert(HOLDS_WITHIN(5000, has_said_held(play)), "hold: %d", play->error);
	kill(holder, SIGSTOP);
	cr_assert_eq(waitpid(holder, &status, WUNTRACED), holder);
	sleep_ms(200);
	cr_assert(is_held(play));
	expect_free_soon_after_kill(play, holder);
}

static void hold_and_close_everything(void *argument)
{
	hold_byte(argument);
	close_range(3, ~0U, 0);
	say_held(argument);
	for (;;)
		pause();
}

Test(os_liveness, the_hold_survives_close_range, .timeout = 20)
{
	struct play *play = new_play();
	pid_t holder = start_child(hold_and_close_everything, play);

	cr_assert(HOLDS_WITHIN(5000, has_said_held(play)), "hold: %d", play->error);
	cr_assert(is_held(play));
	expect_free_soon_after_kill(play, holder);
}

static void hold_and_open_and_close(void *argument)
{
	struct play *play = argument;
	char path[64];

	hold_byte(play);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", play->fd);
	close(open(path, O_RDWR));
	close(dup(play->fd));
	close(play->fd);
	say_held(play);
	for (;;)
		pause();
}

Test(os_liveness, the_hold_survives_a_close_of_another_descriptor_of_the_file,
     .timeout = 20)
{
	struct play *play = new_play();
	pid_t holder = start_child(hold_and_open_and_close, play);

	cr_assert(HOLDS_WITHIN(5000, has_said_held(play)), "hold: %d", play->error);
	cr_assert(is_held(play));
	expect_free_soon_after_kill(play, holder);
}

static void hold_and_fork(void *argument)
{
	struct play *play = argument;
	pid_t child;

	hold_byte(play);
	child = fork();
	if (child == 0) {
		alarm(CHILD_SECONDS_MAX);
		for (;;)
			pause();
	}
	play->helper = child;
	say_held(play);
	for (;;)
		pause();
}

Test(os_liveness, a_child_made_by_fork_does_not_have_the_hold, .timeout = 20)
{
	struct play *play = new_play();
	pid_t holder = start_child(hold_and_fork, play);

	cr_assert(HOLDS_WITHIN(5000, has_said_held(play)), "hold: %d", play->error);
	cr_assert(is_held(play));
	expect_free_soon_after_kill(play, holder);
	cr_assert_eq(kill(play->helper, 0), 0, "the child was to live on");
	kill(play->helper, SIGKILL);
}

Test(os_liveness, a_child_that_ends_does_not_end_its_parents_hold, .timeout = 20)
{
	struct play *play = new_play();
	struct evri_os_hold hold = { 0 };
	pid_t child;

	cr_assert_eq(evri_os_liveness_hold(play->fd, 4096, BYTE, &hold), 0);
	child = fork();
	cr_assert_geq(child, 0);
	if (child == 0)
		_exit(0);
	cr_assert_eq(waitpid(child, NULL, 0), child);
	cr_assert(is_held(play));
}

#define FORKS 150

static void pause_for_ever(void *unused)
{
	(void)unused;
	for (;;)
		pause();
}

static struct {
	int fd;
	uint32_t stop;
	uint64_t holds;
} churn;

static void *hold_and_drop_repeatedly(void *unused)
{
	while (!__atomic_load_n(&churn.stop, __ATOMIC_ACQUIRE)) {
		struct evri_os_hold hold = { 0 };

		/* Bytes of their own: one that a child keeps is not to be held again. */
		uint64_t byte = __atomic_add_fetch(&churn.holds, 1, __ATOMIC_RELAXED);

		if (evri_os_liveness_hold(churn.fd, 4096, byte, &hold) == 0)
			evri_os_liveness_drop(&hold);
	}
	return unused;
}

Test(os_liveness, a_fork_while_a_hold_is_set_up_does_not_keep_it_held, .timeout = 50)
{
	struct play *play = new_play();
	pid_t children[FORKS];
	uint64_t held = 0;
	pthread_t thread;
	uint64_t byte;
	int i;

	churn.fd = play->fd;
	cr_assert_eq(pthread_create(&thread, NULL, hold_and_drop_repeatedly, NULL), 0);
	for (i = 0; i < FORKS; i++) {
		uint64_t before = __atomic_load_n(&churn.holds, __ATOMIC_RELAXED);

		children[i] = start_child(pause_for_ever, NULL);
		/* However busy the machine is, the two go on beside each other. */
		while (__atomic_load_n(&churn.holds, __ATOMIC_RELAXED) == before)
			sched_yield();
	}
	__atomic_store_n(&churn.stop, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	for (byte = 1; byte <= churn.holds; byte++)
		held += evri_os_liveness_test(play->fd, byte) == 1;
	for (i = 0; i < FORKS; i++)
		end_child(children[i]);
	cr_assert_geq(churn.holds, FORKS);
	cr_assert_eq(held, 0, "%lu of %lu dropped holds live on in a child",
		     (unsigned long)held, (unsigned long)churn.holds);
}

Test(os_liveness, a_second_hold_of_a_byte_is_refused_until_the_first_is_dropped)
{
	struct play *play = new_play();
	struct evri_os_hold second = { .bytes = 77 };
	struct evri_os_hold first = { 0 };
	struct evri_os_hold other = { 0 };

	cr_assert_eq(evri_os_liveness_hold(play->fd, 4096, BYTE, &first), 0);
	cr_assert_eq(evri_os_liveness_hold(play->fd, 4096, BYTE, &second), -EBUSY);
	cr_assert_eq(second.bytes, 77);
	cr_assert_eq(evri_os_liveness_hold(play->fd, 4096, BYTE + 1, &other), 0);
	evri_os_liveness_drop(&first);
	cr_assert_eq(first.mapping, NULL);
	cr_assert_not(is_held(play));
	cr_assert_eq(evri_os_liveness_test(play->fd, BYTE + 1), 1);
	cr_assert_eq(evri_os_liveness_hold(play->fd, 4096, BYTE, &second), 0);
	evri_os_liveness_drop(&first);
	evri_os_liveness_drop(NULL);
	cr_assert(is_held(play));
}

Test(os_liveness, an_observer_who_can_only_read_cannot_make_a_byte_look_held)
{
	struct flock lock = {
		.l_type = F_RDLCK,
		.l_whence = SEEK_SET,
		.l_start = BYTE,
		.l_len = 1,
	};
	struct play *play = new_play();
	char path[64];
	int observer;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", play->fd);
	observer = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert_geq(observer, 0);
	cr_assert_eq(fcntl(observer, F_OFD_SETLK, &lock), 0);
	cr_assert_not(is_held(play));
}

Test(os_liveness, a_hold_leaves_no_descriptor_behind)
{
	struct play *play = new_play();
	struct evri_os_hold hold = { 0 };
	int before = open_descriptors();

	cr_assert_eq(evri_os_liveness_hold(play->fd, 4096, BYTE, &hold), 0);
	cr_assert_eq(open_descriptors(), before);
	cr_assert_eq(evri_os_liveness_hold(play->fd, 4096, BYTE, &hold), -EBUSY);
	cr_assert_eq(open_descriptors(), before);
}

Test(os_liveness, what_cannot_be_held_or_tested_is_an_error)
{
	struct play *play = new_play();
	struct evri_os_hold hold = { .bytes = 77 };
	char path[64];
	int read_only;

	cr_assert_eq(evri_os_liveness_hold(-1, 4096, BYTE, &hold), -EBADF);
	cr_assert_eq(evri_os_liveness_hold(play->fd, 4096, UINT64_MAX, &hold), -EINVAL);
	cr_assert_eq(evri_os_liveness_test(-1, BYTE), -EBADF);
	cr_assert_eq(evri_os_liveness_test(play->fd, UINT64_MAX), -EINVAL);
	cr_assert_eq(hold.bytes, 77);

	/* A descriptor for reading is enough to look. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", play->fd);
	read_only = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert_eq(evri_os_liveness_test(read_only, BYTE), 0);
}

Test(os_liveness, without_proc_a_hold_says_so)
{
	struct play *play = new_play();
	struct evri_os_hold hold = { .bytes = 77 };
	int error;

	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/proc", "tmpfs", 0, NULL) < 0)
		cr_skip_test("hiding /proc needs a mount namespace; run as root");
	error = evri_os_liveness_hold(play->fd, 4096, BYTE, &hold);
	umount("/proc");
	cr_assert_eq(error, -ENOENT, "got %d", error);
	cr_assert_eq(hold.bytes, 77);
}

Test(os_liveness, no_call_touches_errno)
{
	struct play *play = new_play();
	struct evri_os_hold hold = { 0 };

	errno = ENOTTY;
	evri_os_liveness_hold(-1, 4096, BYTE, &hold);
	evri_os_liveness_hold(play->fd, 4096, BYTE, &hold);
	evri_os_liveness_hold(play->fd, 4096, BYTE, &hold);
	evri_os_liveness_test(-1, BYTE);
	evri_os_liveness_drop(&hold);
	cr_assert_eq(errno, ENOTTY);
}

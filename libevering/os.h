/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERINGI_OS_H
#define EVERINGI_OS_H

/*
 * os.h - everything the library asks of the kernel, as one small contract.
 *
 * Only the files os_*.c make system calls. Each function says what must hold before and
 * what holds after; all of them return 0 or a negative errno, leave `errno` as it was and
 * leave their results untouched on failure. Descriptors are close-on-exec.
 */

#include <evering/base.h>

/* ---- os_memory.c: memory that several processes map ---- */

struct evri_os_memory_info {
	uint64_t bytes;      /* size of the file */
	uint64_t page_bytes; /* 4096, or the huge page size of a hugetlb memfd */
	uint32_t seals;      /* F_SEAL_* */
	bool may_shrink;     /* no seal keeps its size: a touch may be a SIGBUS */
	bool writable;       /* the descriptor is open for writing */
};

/*
 * An anonymous memfd of @bytes (a multiple of @page_bytes, which is 4096 or 2 MiB),
 * sealed against shrinking, growing and further seals. No page is allocated yet.
 * -ENODEV: the kernel has no pages of this size. -EINVAL: sizes that do not fit.
 */
int evri_os_memory_create(const char *name, uint64_t bytes, uint64_t page_bytes,
			  int *ret_fd);

/* What a descriptor really is. -EBADF: none; -EMEDIUMTYPE: not a memory file. */
int evri_os_memory_inspect(int fd, struct evri_os_memory_info *ret_info);

/*
 * Maps the first @bytes of @fd, shared, readable and writable, at an address aligned to
 * @page_bytes. A huge page mapping reserves its pages here: -ENOMEM when they are not
 * there. A child made by fork() does not have the mapping.
 */
int evri_os_memory_map(int fd, uint64_t bytes, uint64_t page_bytes, void **ret_address);
void evri_os_memory_unmap(void *address, uint64_t bytes);

/*
 * Makes every page of the range real, so that a later touch cannot be a SIGBUS.
 * -ENOSPC: pages ran out (the kernel's EFAULT and ENOMEM both mean that here).
 */
int evri_os_memory_populate(void *address, uint64_t bytes);

/* Free pages of a huge page size right now, for error texts; 0 where unknown. */
uint64_t evri_os_huge_pages_free(uint64_t page_bytes);

/* @bytes random bytes: names of regions, never secrets. */
int evri_os_random(void *buffer, size_t bytes);

/* ---- os_futex.c: sleeping on a shared word, and the clock ---- */

uint64_t evri_os_now_ns(void); /* CLOCK_MONOTONIC */

/*
 * Sleeps while *@word == @expected, until woken or @deadline_ns. Shared between
 * processes. 0: woken, changed, or spurious (look again); -ETIMEDOUT; -EINTR: a signal
 * handler ran.
 */
int evri_os_futex_wait(const uint32_t *word, uint32_t expected, uint64_t deadline_ns);

/* Wakes at most @count sleepers; returns how many there were, or a negative errno. */
int evri_os_futex_wake(const uint32_t *word, int count);

/* ---- os_liveness.c: a lock that the kernel lets go of when a process dies ---- */

/*
 * A held byte: an open-file-description lock on a byte of @fd's file, kept by a mapping
 * and by no descriptor. It ends when the process has ended (all its threads, before it is
 * reaped), and with nothing else: not with a stray close(), not with close_range(), and a
 * child made by fork() does not have it. It works across PID namespaces and for a stopped
 * process.
 */
struct evri_os_hold {
	void *mapping;
	uint64_t bytes;
};

/* -EBUSY: somebody holds the byte. -ENOENT: /proc is not mounted (the file must be
 * opened once more, for a description of its own). */
int evri_os_liveness_hold(int fd, uint64_t page_bytes, uint64_t byte,
			  struct evri_os_hold *ret_hold);
void evri_os_liveness_drop(struct evri_os_hold *hold);

/*
 * 1: the byte is held for writing; 0: it is not. Probes with a read lock, so that an
 * observer who can only read cannot make a dead one look alive.
 */
int evri_os_liveness_test(int fd, uint64_t byte);

/* ---- os_socket.c: descriptors over a Unix socket ---- */

/* Sends / receives one descriptor together with @bytes (1 to 256) of payload. The
 * receiver gets -EPROTO when the message carries no descriptor, more than one, or another
 * number of bytes; any descriptor that came is closed then. -EPIPE: the other end is
 * gone. */
int evri_os_send_fd(int socket_fd, int fd, const void *payload, size_t bytes);
int evri_os_receive_fd(int socket_fd, void *ret_payload, size_t bytes, int *ret_fd);

/* ---- os_process.c ---- */

int evri_os_pidfd_open(int64_t pid, int *ret_pidfd);
/* 1: the process has ended; 0: it has not (stopped counts as living). */
int evri_os_pidfd_ended(int pidfd);
int64_t evri_os_pid(void);
/* What /proc says of a process, for people: 'R' running, 'S' sleeping, 'T' stopped, 't'
 * traced, 'Z' ended, ... -ENOENT: there is none, or it cannot be seen from here. */
int evri_os_process_state(int64_t pid, char *ret_state);
int evri_os_fd_duplicate(int fd, int *ret_fd);
void evri_os_fd_close(int fd);
/* Writes all @bytes (short writes and EINTR continued). */
int evri_os_write(int fd, const void *buffer, size_t bytes);

/* ---- os_cpu.c: CPUs and memory nodes, with libnuma ---- */

/* Masks are arrays of 64-bit words, CPU n at bit n % 64 of word n / 64. The calling
 * thread's own. -EINVAL: the kernel's mask needs more words than these / no CPU of the
 * mask may be used. */
int evri_os_affinity_get(uint64_t *words, size_t words_count);
int evri_os_affinity_set(const uint64_t *words, size_t words_count);

int evri_os_current_cpu(int *ret_cpu, int *ret_node);

/* -ENODEV: there is no such CPU online. Everything is in node 0 without NUMA. */
int evri_os_cpu_node(int cpu, int *ret_node);

/* One more than the largest node number that the kernel can have. */
int evri_os_nodes_limit(void);
/* May this process take memory from the node? */
bool evri_os_node_allowed(int node);
/* Calls @take with each online CPU of the node until it returns non-zero, which is then
 * returned. -ENODEV: no such node. */
int evri_os_node_cpus(int node, int (*take)(void *context, int cpu), void *context);

/* Which node the page at @address lies in. -EFAULT: not mapped; -ENOENT: not touched. */
int evri_os_address_node(const void *address, int *ret_node);

#endif

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

#include <pthread.h>

#include <evering/atomic.h>
#include <evering/base.h>
#include <evering/number_set.h>

/* ---- os_memory.c: memory that several processes map ---- */

struct evri_os_memory_info {
	uint64_t bytes;      /* size of the file */
	uint64_t page_bytes; /* 4096, or the huge page size of a hugetlb memfd */
	uint32_t seals;      /* F_SEAL_* */
	bool may_shrink;     /* no seal keeps its size: a touch may be a SIGBUS */
	bool writable;       /* the descriptor is open for writing */
};

/*
 * An anonymous memfd of @bytes (a multiple of @page_bytes, which is 4096, 2 MiB or 1
 * GiB), sealed against shrinking, growing and further seals. No page is allocated yet.
 * -ENODEV: the kernel has no pages of this size. -EINVAL: sizes that do not fit.
 */
int evri_os_memory_create(const char *name, uint64_t bytes, uint64_t page_bytes,
			  int *ret_fd);

/* What a descriptor really is. -EBADF: none; -EMEDIUMTYPE: not a memory file. */
int evri_os_memory_inspect(int fd, struct evri_os_memory_info *ret_info);

/* Reads bytes of a memory file without mapping them: where there is no page they are
 * zero, and none is taken. -ENODATA: the file ends before. */
int evri_os_memory_read(int fd, uint64_t offset, void *buffer, size_t bytes);

/* @bytes of addresses, aligned, where nothing can be read or written yet. */
int evri_os_memory_reserve(uint64_t bytes, uint64_t alignment, void **ret_address);

#define EVRI_OS_MAP_READ_ONLY 1U
#define EVRI_OS_MAP_DUMP 2U /* part of core dumps */
#define EVRI_OS_MAP_UNRESERVED 4U /* huge pages: taken when touched, and not before */

/*
 * Maps @bytes of @fd from @offset, shared, at @address in a reservation. Huge pages are
 * reserved here, unless @how says otherwise: -ENOMEM when they are not there, and the
 * addresses are as before. A child made by fork() does not have the mapping.
 *
 * The kernel reserves without a node, and what it has promised to a file it gives back
 * with the file only. Whoever populates at once, on nodes, is better off without.
 */
int evri_os_memory_map_at(int fd, uint64_t offset, uint64_t bytes, unsigned how,
			  void *address);

/* Ends such a mapping; the addresses are a part of the reservation again. */
void evri_os_memory_unmap_at(void *address, uint64_t bytes);

/* Both: the first @bytes of @fd, at an address aligned to @page_bytes. */
int evri_os_memory_map(int fd, uint64_t bytes, uint64_t page_bytes, void **ret_address);
void evri_os_memory_unmap(void *address, uint64_t bytes);

/* Gives the pages of a part of the file back to the system. */
int evri_os_memory_release(int fd, uint64_t offset, uint64_t bytes);

/* ---- os_populate.c: making pages real ---- */

/*
 * Makes every page of the range real, so that a later touch cannot be a SIGBUS.
 * -ENOSPC: pages ran out (the kernel's EFAULT and ENOMEM both mean that here); some of
 * them may have been made.
 */
int evri_os_memory_populate(void *address, uint64_t bytes);

/* The same with several threads, in slices, and a report after each; @progress may be
 * NULL, and is called in the caller's thread. */
int evri_os_memory_populate_all(void *address, uint64_t bytes, uint64_t page_bytes,
				void (*progress)(void *context, uint64_t done_bytes,
						 uint64_t all_bytes),
				void *context);

/* Pages that are there come into this process's page tables. */
int evri_os_memory_populate_read(void *address, uint64_t bytes);

/* Transparent huge pages: asks for them before populating; makes them afterwards, and
 * says how many bytes are huge then. */
void evri_os_memory_want_huge(void *address, uint64_t bytes);
uint64_t evri_os_memory_collapse(void *address, uint64_t bytes);

/* What /proc/self/smaps says of the mappings that a range consists of. */
struct evri_os_mapping_info {
	uint64_t huge_bytes; /* of transparent huge pages, the neighbours' included */
	bool locked;
	bool dumped;
};

int evri_os_mapping_inspect(const void *address, uint64_t bytes,
			    struct evri_os_mapping_info *ret);

/* -ENOMEM, -EPERM: beyond RLIMIT_MEMLOCK. */
int evri_os_memory_lock(void *address, uint64_t bytes);

/* ---- os_limits.c: for refusals and error texts; a snapshot ---- */

/* Free pages of a huge page size, less those reserved; 0 where unknown. */
uint64_t evri_os_huge_pages_free(uint64_t page_bytes);
/* How many more the kernel may make of other memory when it runs out of them. */
uint64_t evri_os_huge_pages_more(uint64_t page_bytes);
/* What a node can give in pages of this size without killing anybody; 0 where unknown. */
uint64_t evri_os_node_free_bytes(int node, uint64_t page_bytes);
/* What the machine can give in small pages without killing anybody. */
uint64_t evri_os_memory_available(bool with_swap);
/* RLIMIT_MEMLOCK in bytes; UINT64_MAX: none. */
uint64_t evri_os_lock_limit(void);

#define EVRI_OS_CGROUP_PATH_BYTES 512

struct evri_os_cgroup_limit {
	char path[EVRI_OS_CGROUP_PATH_BYTES]; /* of the file with the limit */
	uint64_t limit_bytes;
	uint64_t usage_bytes;
};

/* Does a limit of this process's cgroup, or of one above it, leave less than @bytes? */
bool evri_os_cgroup_refuses(uint64_t page_bytes, uint64_t bytes,
			    struct evri_os_cgroup_limit *ret);

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

/* Sleeps about so long, less if a signal handler runs. */
void evri_os_pause(uint64_t duration_ns);

/* ---- os_mortal.c: a word that is marked when a thread ends ---- */

#define EVRI_OS_MORTAL_WAITERS UINT32_C(0x80000000)
#define EVRI_OS_MORTAL_ENDED UINT32_C(0x40000000)

/* What the kernel reads when the thread ends; private memory that lives as long. */
struct evri_os_mortal {
	void *entry;
	void *head[3];
};

/* The word says which thread the caller is; when it ends, and no matter how, the kernel
 * adds EVRI_OS_MORTAL_ENDED and wakes one who waits there. One word a thread; the thread
 * can use no robust mutexes. */
int evri_os_mortal_begin(struct evri_os_mortal *mortal, struct evr_atomic_u32 *word);
/* The word says 0, and all who wait there are woken. */
void evri_os_mortal_end(struct evri_os_mortal *mortal, struct evr_atomic_u32 *word);

#define EVRI_OS_WAITED_MAX 128

struct evri_os_waited {
	const uint32_t *word;
	uint32_t expected;
};

/* Sleeps while each word says what is expected of it. 0: one was woken or says something
 * else; -ETIMEDOUT; -EINTR; -ENOSYS: a kernel before 5.16. */
int evri_os_wait_any(const struct evri_os_waited *waited, uint32_t count,
		     uint64_t deadline_ns);

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
	int lock_fd; /* only between prepare and finish */
};

/* -EBUSY: somebody holds the byte. -ENOENT: /proc is not mounted (the file must be
 * opened once more, for a description of its own). */
int evri_os_liveness_hold(int fd, uint64_t page_bytes, uint64_t byte,
			  struct evri_os_hold *ret_hold);

/*
 * The same step by step, for one who looks for a byte that is free. From prepare to
 * finish the caller's signals are blocked and fork() waits: do nothing between them that
 * could wait. @carrier_fd: takes the description out of this instead of opening the file
 * anew, which works once and needs no /proc; -1: none. -EPROTO: what is in the carrier
 * is not a description of this file.
 */
int evri_os_liveness_prepare(int fd, int carrier_fd, uint64_t page_bytes,
			     struct evri_os_hold *ret_hold);
int evri_os_liveness_lock(const struct evri_os_hold *hold, uint64_t byte);
void evri_os_liveness_unlock(const struct evri_os_hold *hold, uint64_t byte);
void evri_os_liveness_finish(struct evri_os_hold *hold, bool keep);

/* A carrier with a fresh description of @fd's file in it, to be sent to another process;
 * nobody else has the description. -ENOENT: /proc is not mounted. */
int evri_os_liveness_pack(int fd, int *ret_carrier_fd);

void evri_os_liveness_drop(struct evri_os_hold *hold);

/*
 * 1: the byte is held for writing; 0: it is not. Probes with a read lock, so that an
 * observer who can only read cannot make a dead one look alive.
 */
int evri_os_liveness_test(int fd, uint64_t byte);

/* Whoever waits in fork() for others must install his handlers after these. */
int evri_os_liveness_install(void);

/* ---- os_fork.c: what a forked child must not keep ---- */

/*
 * Descriptors by which others see that a process lives (a listening socket, a connection,
 * a lock) must not be copied into children. fork() calls @before in the parent, then
 * @after there, and @in_child in the child; @before waits until the descriptors are where
 * @in_child finds them, and must not wait for long. Not for vfork(), posix_spawn() and
 * exec, where close-on-exec is enough, nor for _Fork() and clone().
 */
struct evri_os_forked {
	struct evri_os_forked *next;
	struct evri_os_forked *previous;
	void (*before)(struct evri_os_forked *forked);
	void (*after)(struct evri_os_forked *forked);
	void (*in_child)(struct evri_os_forked *forked);
};

int evri_os_fork_watch(struct evri_os_forked *forked);
/* Does nothing for one that is not watched. */
void evri_os_fork_forget(struct evri_os_forked *forked);

/* ---- os_socket.c: descriptors over a Unix socket ---- */

/* Sends / receives one descriptor together with @bytes (1 to 256) of payload. The
 * receiver gets -EPROTO when the message carries no descriptor, more than one, or another
 * number of bytes; any descriptor that came is closed then. -EPIPE: the other end is
 * gone. */
int evri_os_send_fd(int socket_fd, int fd, const void *payload, size_t bytes);
int evri_os_receive_fd(int socket_fd, void *ret_payload, size_t bytes, int *ret_fd);

/* ---- os_message.c: messages between strangers, over sequenced-packet sockets ---- */

/* Nothing here waits, whatever the socket's flags, but connect and wait_readable. */

#define EVRI_OS_MESSAGE_BYTES_MAX 512
#define EVRI_OS_MESSAGE_FDS_MAX 4

struct evri_os_message {
	size_t bytes_max; /* set by the receiver: the longest that he wants */
	size_t bytes;
	int fds[EVRI_OS_MESSAGE_FDS_MAX];
	size_t fds_count;
	unsigned char data[EVRI_OS_MESSAGE_BYTES_MAX];
};

/* -EAGAIN: no room; -EPIPE: the other end is gone. */
int evri_os_message_send(int socket_fd, const struct evri_os_message *message);
/*
 * 0, and the descriptors are the caller's; -EAGAIN: none has come; -EPIPE: the other end
 * is gone and all that it sent was taken; -EPROTO: too long, or too many descriptors. On
 * failure no descriptor is open.
 */
int evri_os_message_receive(int socket_fd, struct evri_os_message *message);
/* The same from one who has no business sending descriptors: -EPROTO when there is one.
 * The kernel drops it before it becomes ours: merely closing one can take for ever, if it
 * is of a file system that the sender runs. */
int evri_os_message_receive_plain(int socket_fd, struct evri_os_message *message);
/* Closes what came and was not taken (set to -1). */
void evri_os_message_close(struct evri_os_message *message);

struct evri_os_credentials {
	int64_t pid; /* 0: not to be seen from this PID namespace */
	uint32_t uid;
	uint32_t gid;
};

/* Who connected; of a connected socket the other way: who called listen(). */
int evri_os_socket_credentials(int socket_fd, struct evri_os_credentials *ret);
/* Is one of the other side's supplementary groups in the list? 1, 0, or an error. */
int evri_os_socket_in_groups(int socket_fd, const uint32_t *gids, size_t count);
void evri_os_own_ids(uint32_t *ret_uid, uint32_t *ret_gid);

/* Addresses: a path, or "@name" in the abstract namespace. -ENAMETOOLONG. */
int evri_os_socket_bind(const char *address, uint32_t mode, int *ret_fd);
int evri_os_socket_listen(int socket_fd, uint32_t backlog);
/* An inherited socket made ready for the same; a duplicate. -EPROTOTYPE: it is not a
 * listening Unix socket for sequenced packets. */
int evri_os_socket_inherit(int fd, uint32_t backlog, int *ret_fd);
/* -EAGAIN: nobody is waiting. */
int evri_os_socket_accept(int socket_fd, int *ret_fd);
/* -ECONNREFUSED: nobody listens there; -ETIMEDOUT: somebody does, and takes nobody in. */
int evri_os_socket_connect(const char *address, uint64_t deadline_ns, int *ret_fd);
/*
 * Is anybody there? 0: yes, and *@ret says who, or nobody (pid and uid 0, gid -1) where
 * that cannot be told; -ECONNREFUSED: nobody, and nobody ever will be behind this file
 * unless somebody is between bind and listen; -ENOENT; -EACCES.
 */
int evri_os_socket_probe(const char *address, struct evri_os_credentials *ret);
/* -ETIMEDOUT. What has ended counts as readable. */
int evri_os_wait_readable(int fd, uint64_t deadline_ns);

/* An eventfd that does not block. */
int evri_os_event_open(int *ret_fd);

/* ---- os_poller.c: waiting for many descriptors behind one ---- */

int evri_os_poller_open(int *ret_fd);
int evri_os_poller_add(int poller_fd, int fd, uint64_t key);
/* Before it is closed: while a forked child has it open, closing does not take it out. */
void evri_os_poller_remove(int poller_fd, int fd);
/* One that is ready, in turn; -ETIMEDOUT; -EINTR. */
int evri_os_poller_wait(int poller_fd, uint64_t deadline_ns, uint64_t *ret_key);
/* A timer is readable from its time on, until it is set again. */
int evri_os_timer_open(int *ret_fd);
int evri_os_timer_set(int timer_fd, uint64_t at_ns); /* EVR_NEVER: not at all */

/* ---- os_place.c: names in one directory ---- */

/* What lies behind a name, and which one of all that ever did: an inode number comes
 * again, with the same time of making it does not. */
struct evri_os_file_id {
	uint64_t device;
	uint64_t inode;
	uint64_t made_ns;
	uint32_t uid;
	uint32_t mode;
	bool is_link;
	bool is_socket;
	bool is_directory;
};

/* Opens the directory @path (links on the way are followed). */
int evri_os_place_open(const char *path, int *ret_fd);
/* Of the name itself, if it is a link; of the directory with name "". */
int evri_os_place_identify(int directory_fd, const char *name,
			   struct evri_os_file_id *ret);
int evri_os_place_identify_at(const char *path, struct evri_os_file_id *ret);
/* Sets group and mode as they are asked for; gid -1: as it is. */
int evri_os_place_set_rights(int directory_fd, const char *name, uint32_t mode,
			     uint32_t gid);
/* -EEXIST: the new name is taken. */
int evri_os_place_link(int directory_fd, const char *from, const char *to);
int evri_os_place_rename(int directory_fd, const char *from, const char *to);
int evri_os_place_rename_over(int directory_fd, const char *from, const char *to);
int evri_os_place_unlink(int directory_fd, const char *name);
/* Calls @take with each name that begins with @prefix. */
int evri_os_place_list(int directory_fd, const char *prefix,
		       void (*take)(void *context, const char *name), void *context);
/* Makes a directory of mode 0700; -EEXIST. */
int evri_os_directory_make(const char *path);

/*
 * A directory as a place for locks, which needs no file: opened for reading, it has bytes
 * like any file, and locks on them belong to the open description. Several may hold one
 * byte; whoever asks learns whether another does. It ends with the last copy of the
 * descriptor, so a child made by fork() must close its own (os_fork.c).
 */
int evri_os_place_open_for_locks(const char *path, int *ret_fd);
int evri_os_place_lock(int directory_fd, uint64_t byte);
void evri_os_place_unlock(int directory_fd, uint64_t byte);
/* 1: somebody else holds the byte; 0: nobody does. */
int evri_os_place_locked(int directory_fd, uint64_t byte);

/* ---- os_process.c ---- */

/* Of a descriptor that was inherited: -EBADF if it is not open. */
int evri_os_fd_set_close_on_exec(int fd);
/* getenv(), and nothing in a program that has more rights than who started it. */
const char *evri_os_environment(const char *name);

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

/* A thread in which none of the application's signal handlers run. */
int evri_os_thread_start(void *(*run)(void *argument), void *argument, pthread_t *ret);

/* ---- os_cpu.c: CPUs and memory nodes, with libnuma ---- */

/* Masks are arrays of 64-bit words, CPU n at bit n % 64 of word n / 64. The calling
 * thread's own. -EINVAL: the kernel's mask needs more words than these / no CPU of the
 * mask may be used. */
int evri_os_affinity_get(uint64_t *words, size_t words_count);
int evri_os_affinity_set(const uint64_t *words, size_t words_count);

int evri_os_current_cpu(int *ret_cpu, int *ret_node);
/* The node of the CPU that the thread runs on, 0 where that cannot be told. Where the
 * kernel lends code for it, without a system call. */
int evri_os_current_node(void);

/* -ENODEV: there is no such CPU online. Everything is in node 0 without NUMA. */
int evri_os_cpu_node(int cpu, int *ret_node);

/* One more than the largest node number that the kernel can have. */
int evri_os_nodes_limit(void);
bool evri_os_node_exists(int node);
/* As the firmware tells it, 10 being a node's own memory, for nodes that are there; 0: it
 * does not. */
int evri_os_node_distance(int from, int to);
/* May this process take memory from the node? */
bool evri_os_node_allowed(int node);
/* Does it, where it does not ask for nodes? It may be bound to some (numactl). */
bool evri_os_node_usual(int node);
/* Calls @take with each online CPU of the node until it returns non-zero, which is then
 * returned. -ENODEV: no such node. */
int evri_os_node_cpus(int node, int (*take)(void *context, int cpu), void *context);

/* How the kernel is to choose nodes for a range. */
enum evri_os_policy {
	EVRI_OS_POLICY_ANY, /* the process's own; no nodes */
	EVRI_OS_POLICY_BIND,
	EVRI_OS_POLICY_INTERLEAVE,
	EVRI_OS_POLICY_PREFERRED,
};

/* For pages of the range that are not there yet; of small pages, whichever process maps
 * them. 0 also where there is no NUMA and @nodes is node 0. */
int evri_os_memory_place(void *address, uint64_t bytes, enum evri_os_policy policy,
			 const struct evr_number_set *nodes);

/* The nodes of @count pages from @address on, which must be in the page tables: each a
 * node or a negative errno. */
int evri_os_page_nodes(const void *address, uint64_t page_bytes, uint32_t count,
		       int *ret_nodes);

/* Which node the page at @address lies in. -EFAULT: not mapped; -ENOENT: not touched. */
int evri_os_address_node(const void *address, int *ret_node);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_REGION_H
#define EVERING_REGION_H

/**
 * region.h - memory that several processes map.
 *
 * A region is one anonymous memory file, sealed at the size that it may ever have, so it
 * leaves nothing behind when its last holder is gone. It begins with one range of it, and
 * evr_region_grow() makes the next ones real: each process maps them where it has kept
 * addresses free, so nothing moves and no descriptor crosses. Pages are made real, huge
 * if that was asked for, on the nodes that were asked for, by whoever creates or grows;
 * what cannot be had is an error then, and never a signal later. evr_region_report() says
 * what was got. Whoever has its descriptor can attach: a child that
 * inherits it, or a process that receives it over a Unix socket. Attaching makes the
 * process a participant (participant.h). Everything in the region that several processes
 * use is an object with a name in the region's directory: a pool, a ring, a uring.
 *
 * After fork() the child does not have the mapping: it must attach anew, with the
 * descriptor (which it does inherit), and becomes a participant of its own.
 */

#include <evering/atomic.h>
#include <evering/base.h>
#include <evering/number_set.h>
#include <evering/version.h>

#define EVR_PAGE_4K UINT64_C(4096)
#define EVR_PAGE_2M (UINT64_C(2) << 20)
#define EVR_PAGE_1G (UINT64_C(1) << 30)

#define EVR_NAME_BYTES 48 /* of an object, with its final NUL */

enum evr_region_status {
	EVR_REGION_INITIALIZING = 1,
	EVR_REGION_INITIALIZED = 2,
	EVR_REGION_CORRUPTED = 3,
};

#define EVR_RANGES_MAX 16

enum evr_range_state {
	EVR_RANGE_EMPTY = 1,    /* never used; so are all behind it */
	EVR_RANGE_BUILDING = 2, /* its owner makes it real */
	EVR_RANGE_READY = 3,    /* real, for everybody; see also evr_pool_retire() */
	EVR_RANGE_SPARE = 4,    /* addresses without pages: building it failed */
};

/*
 * A part of the region, which follows the one before it. One word says its size and how
 * far it is, so that one compare-and-swap takes the addresses.
 */
struct EVR_CACHE_ALIGNED evr_range_shared {
	struct evr_atomic_u64 word; /* {state 4 | units of 4 KiB 28 | owner 32} */
	uint32_t policy;            /* enum evr_policy, as asked for */
	uint32_t flags;             /* enum evr_region_flags, as asked for */
	uint64_t nodes;             /* those of the policy, node n at bit n, up to 63 */
	uint64_t settle_ns;         /* how long making it real took */
	uint64_t reserved[4];
};

EVR_STATIC_ASSERT(sizeof(struct evr_range_shared) == 64, "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_range_shared, word) == 0 &&
			  offsetof(struct evr_range_shared, policy) == 8 &&
			  offsetof(struct evr_range_shared, flags) == 12 &&
			  offsetof(struct evr_range_shared, nodes) == 16 &&
			  offsetof(struct evr_range_shared, settle_ns) == 24,
		  "shared layout");

/**
 * The first page of every region. Layout: docs/LAYOUT.md.
 *
 * Constant once `status` says INITIALIZED, except `status` itself, `next_number`,
 * `arrivals`, `deaths` and `retirements`.
 * Every attacher checks the constants and copies them; nobody reads them again.
 */
struct EVR_CACHE_ALIGNED evr_region_shared {
	uint64_t magic;
	struct evr_atomic_u32 status; /* enum evr_region_status, published last */
	uint32_t layout_version;
	uint32_t api_version; /* of the creator */
	uint32_t abi_version;
	uint64_t features_compat;
	uint64_t features_ro_compat;
	uint64_t features_incompat;
	uint8_t id[16]; /* random; its first two bytes, never both 0, tag the tokens */
	uint64_t bytes; /* that it may grow to: the size of its file */
	uint64_t page_bytes;
	uint64_t participants_offset;
	uint64_t agents_offset;
	uint64_t directory_offset;
	uint64_t objects_offset;
	uint32_t participants_count;
	uint32_t agents_count;
	uint32_t directory_count;
	uint32_t ranges_count;
	uint64_t ranges_offset;
	struct evr_atomic_u32 arrivals; /* a futex: look at the records again */
	struct evr_atomic_u32 deaths;   /* that were noticed: sleepers compare it */
	struct evr_atomic_u64 retirements; /* of parts of the pool, begun so far */
	uint8_t pad[32];
	EVR_CACHE_ALIGNED struct evr_atomic_u64 next_number; /* next attach number */
};

EVR_STATIC_ASSERT(offsetof(struct evr_region_shared, status) == 8, "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_region_shared, layout_version) == 12,
		  "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_region_shared, api_version) == 16 &&
			  offsetof(struct evr_region_shared, abi_version) == 20 &&
			  offsetof(struct evr_region_shared, features_compat) == 24 &&
			  offsetof(struct evr_region_shared, features_ro_compat) == 32 &&
			  offsetof(struct evr_region_shared, features_incompat) == 40,
		  "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_region_shared, id) == 48, "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_region_shared, bytes) == 64 &&
			  offsetof(struct evr_region_shared, page_bytes) == 72 &&
			  offsetof(struct evr_region_shared, participants_offset) == 80 &&
			  offsetof(struct evr_region_shared, agents_offset) == 88 &&
			  offsetof(struct evr_region_shared, directory_offset) == 96 &&
			  offsetof(struct evr_region_shared, objects_offset) == 104 &&
			  offsetof(struct evr_region_shared, participants_count) == 112 &&
			  offsetof(struct evr_region_shared, agents_count) == 116 &&
			  offsetof(struct evr_region_shared, directory_count) == 120 &&
			  offsetof(struct evr_region_shared, ranges_count) == 124 &&
			  offsetof(struct evr_region_shared, ranges_offset) == 128 &&
			  offsetof(struct evr_region_shared, arrivals) == 136 &&
			  offsetof(struct evr_region_shared, deaths) == 140 &&
			  offsetof(struct evr_region_shared, retirements) == 144,
		  "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_region_shared, next_number) == 192,
		  "shared layout");
EVR_STATIC_ASSERT(sizeof(struct evr_region_shared) == 256, "shared layout");

#define EVR_REGION_MAGIC UINT64_C(0x31676e6972657645) /* "Evering1" as bytes */

/** A process's view of a region: opaque, from create, attach or receive. */
struct evr_region;

/* Which memory nodes pages come from. */
enum evr_policy {
	EVR_POLICY_ANY = 0,        /* the kernel's choice: near to whoever creates */
	EVR_POLICY_BIND = 1,       /* these nodes and no others */
	EVR_POLICY_INTERLEAVE = 2, /* these nodes in turn, by page or transparent page */
	EVR_POLICY_PREFERRED = 3,  /* the first of these while it has any, then others */
	EVR_POLICY_NEAR_CPU = 4,   /* bound to the node of a CPU */
};

/**
 * struct evr_placement - where the pages of a range are to lie. All zero: anywhere.
 * @policy: enum evr_policy.
 * @cpu:    for EVR_POLICY_NEAR_CPU.
 * @nodes:  for the others: memory nodes that this process may use; borrowed.
 */
struct evr_placement {
	uint32_t policy;
	int32_t cpu;
	const struct evr_number_set *nodes;
};

enum evr_region_flags {
	/*
	 * The page size is a wish. If its pages cannot be had, the next smaller is tried,
	 * in this order: 1 GiB, 2 MiB, transparent, 4 KiB. evr_region_report() says what
	 * it became. Without this flag anything less is an error.
	 */
	EVR_REGION_PREFER_PAGES = 1,
	/*
	 * 4 KiB pages, made huge where 2 MiB of them are aligned. Needs no huge page
	 * pool, no right and no setting; costs a copy at creation.
	 */
	EVR_REGION_TRANSPARENT = 2,
	/* Never swapped out, under RLIMIT_MEMLOCK. (Huge pages never are.) */
	EVR_REGION_LOCKED = 4,
	/* Part of core dumps. A process counts as alive until its dump is written. */
	EVR_REGION_DUMPED = 8,
};

/* Called in the creator's thread while pages are made real, about every 64 MiB; it may
 * not call back into the library with the region, nor leave by longjmp() or exception. */
typedef void (*evr_progress)(void *context, uint64_t done_bytes, uint64_t all_bytes);

/**
 * struct evr_region_options - how to create a region. Zero means the default.
 * @size:         sizeof(struct evr_region_options): says which fields the caller knows.
 * @bytes:        what it begins with; rounded up to @page_bytes, or to what became of it.
 *                Required.
 * @page_bytes:   EVR_PAGE_4K (default), EVR_PAGE_2M or EVR_PAGE_1G.
 * @participants: how many processes may be attached at once; default 64, at most 65 535.
 * @agents:       how many agents there may be at once, over all participants; default
 *                4 * participants, at most 65 535.
 * @name:         shown in /proc/PID/maps; default "evering".
 * @bytes_max:    what it may grow to, at most 2^40; default @bytes. Costs addresses in
 *                each process, and no memory.
 * @flags:        enum evr_region_flags.
 * @placement:    of the first range.
 * @progress:     called while pages are made real, with @context; may be NULL.
 */
struct evr_region_options {
	size_t size;
	uint64_t bytes;
	uint64_t page_bytes;
	uint32_t participants;
	uint32_t agents;
	const char *name;
	uint64_t bytes_max;
	uint32_t flags;
	uint32_t reserved; /* zero */
	struct evr_placement placement;
	evr_progress progress;
	void *context;
};

/**
 * struct evr_range_options - how to grow a region.
 * @size:      sizeof(struct evr_range_options).
 * @bytes:     how much; rounded up to the region's page size. Required.
 * @flags:     EVR_REGION_TRANSPARENT, EVR_REGION_LOCKED, EVR_REGION_DUMPED,
 *             EVR_REGION_PREFER_PAGES (transparent or else small).
 * @placement: of this range.
 * @progress:  called while pages are made real, with @context; may be NULL.
 */
struct evr_range_options {
	size_t size;
	uint64_t bytes;
	uint32_t flags;
	uint32_t reserved; /* zero */
	struct evr_placement placement;
	evr_progress progress;
	void *context;
};

EVR_BEGIN_DECLS

/**
 * evr_region_create() - makes a region and attaches to it.
 * @options:    how; see struct evr_region_options.
 * @ret_region: the creator's view. End it with evr_region_detach().
 *
 * Every page of the first range is made real, by several threads if there is much of it,
 * and looked at before this returns, so running out of memory is an error here and never
 * a signal later. What was taken before a failure is given back.
 *
 * Threads: any. Signals: not from handlers. Killed inside: nothing is left behind.
 *
 * Return: 0, or
 * -EINVAL  an option is out of range, or names a node that this process may not use;
 * -E2BIG   the options are from a newer header and use a field unknown here;
 * -ENOSPC  @bytes cannot hold the tables; or the nodes that were asked for, or that this
 *          process is bound to, have too few pages or ran out of them;
 * -ENOMEM  the machine has too little memory or too few huge pages; a cgroup's limit, or
 *          RLIMIT_MEMLOCK;
 * -ENODEV  the kernel has no pages of that size;
 * -ENOENT  /proc is not mounted;
 * or another errno of the kernel. evr_error_detail() names values and the cure.
 */
EVR_API int evr_region_create(const struct evr_region_options *options,
			      struct evr_region **ret_region) EVR_NODISCARD;

/**
 * evr_region_attach() - joins the region behind a descriptor.
 * @fd:         a descriptor of a region's memory, inherited or received; open for reading
 *              and writing. Stays the caller's: it may be closed after this returns.
 * @ret_region: this process's view. End it with evr_region_detach().
 *
 * A process may attach several times; each is a participant of its own.
 *
 * Threads: any. Signals: not from handlers. Ordering: all that the creator wrote before
 * publishing the region is visible. Killed inside: the record that was being taken is
 * found dead like any other.
 *
 * Return: 0, or
 * -EBADF            @fd is not open, or not for writing;
 * -EMEDIUMTYPE      what is behind it is not a region;
 * -EPROTO           another layout version or an unknown feature (both are named by
 *                   evr_error_detail());
 * -EAGAIN           the creator has not finished yet (try again);
 * -ENOTRECOVERABLE  the creator died before it finished, or the region is corrupted;
 * -ENODATA          the file is shorter than its header says;
 * -EUCLEAN          the header contradicts itself;
 * -EMFILE           every participant's record is taken;
 * -ENOSPC           attach numbers are used up;
 * -ENOENT           /proc is not mounted;
 * -ENOMEM           no memory.
 */
EVR_API int evr_region_attach(int fd, struct evr_region **ret_region) EVR_NODISCARD;

/**
 * evr_region_detach() - leaves.
 * @region: or NULL, which does nothing.
 *
 * Close agents, rings, submitters and completers first: their memory goes away here.
 * Leaving and dying are the same path from here on: what was still held comes back when
 * another participant runs recovery.
 *
 * Threads: one caller, and nobody else uses @region. Killed inside: as dead as detached.
 *
 * Return: NULL.
 */
EVR_API struct evr_region *evr_region_detach(struct evr_region *region);

/**
 * evr_region_fd() - the descriptor to hand over.
 * @region: an attached region.
 *
 * It belongs to the view, is close-on-exec, and ends with evr_region_detach(): duplicate
 * it for a child that will exec. Threads: any.
 */
EVR_API int evr_region_fd(const struct evr_region *region);

/**
 * evr_region_send() - hands the region over a connected Unix socket.
 * @region:    an attached region.
 * @socket_fd: blocking or not; may be sent from either end.
 *
 * Threads: one sender per socket at a time.
 *
 * Return: 0, or a negative errno of sendmsg(); -EPIPE when the other end is closed (no
 * signal is raised).
 */
EVR_API int evr_region_send(const struct evr_region *region, int socket_fd) EVR_NODISCARD;

/**
 * evr_region_receive() - takes what evr_region_send() sent, and attaches.
 * @socket_fd:  a connected Unix socket.
 * @ret_region: this process's view.
 *
 * Waits for the message when the socket is a blocking one.
 *
 * Return: 0, or -EPROTO when the message is not one of evr_region_send(), -EPIPE when
 * the other end closed before sending, or any error of evr_region_attach().
 */
EVR_API int evr_region_receive(int socket_fd,
			       struct evr_region **ret_region) EVR_NODISCARD;

/**
 * evr_region_grow() - makes the next range of a region real.
 * @region:    an attached region with room up to its bytes_max.
 * @options:   how much, and where.
 * @ret_range: the new range's number; may be NULL. Objects can be made in it.
 *
 * Others go on meanwhile; they map the range when they first meet something that lies in
 * it. Two that grow at once get a range each.
 *
 * Threads: any. Signals: not from handlers. Stopped inside: delays nobody. Killed inside:
 * the next one that grows takes the addresses over; the pages come back with it or with
 * the region.
 *
 * Return: 0, or
 * -ENOSPC  bytes_max or the table of EVR_RANGES_MAX ranges leaves no room, or pages ran
 *          out; -EROFS  attached for reading;
 * or the errors of evr_region_create(). evr_error_detail() names values and the cure.
 */
EVR_API int evr_region_grow(struct evr_region *region,
			    const struct evr_range_options *options,
			    uint32_t *ret_range) EVR_NODISCARD;

/**
 * evr_region_attach_read_only() - looks at a region without taking part.
 * @fd:         a descriptor of a region's memory; open for reading is enough.
 * @ret_region: this process's view. End it with evr_region_detach().
 *
 * For tools: takes no participant's record, has attach number 0, is seen by nobody, and
 * can look at regions that no participant is attached to any more. What needs to write
 * (agents, submitters, completers, growing, creating objects) fails with -EROFS. Unlike
 * evr_region_attach() it accepts regions with unknown read-only features.
 *
 * Return: as evr_region_attach().
 */
EVR_API int evr_region_attach_read_only(int fd,
					struct evr_region **ret_region) EVR_NODISCARD;

/** evr_region_number() - this view's attach number; 0 if it only reads. Threads: any. */
EVR_API uint32_t evr_region_number(const struct evr_region *region);

/** evr_region_bytes() - the bytes of all ranges that are real now. Threads: any. */
EVR_API uint64_t evr_region_bytes(const struct evr_region *region);

/** evr_region_bytes_max() - what the region may grow to. Threads: any. */
EVR_API uint64_t evr_region_bytes_max(const struct evr_region *region);

/** evr_region_page_bytes() - the size of its pages. Threads: any. */
EVR_API uint64_t evr_region_page_bytes(const struct evr_region *region);

EVR_END_DECLS
#endif

/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_REGION_H
#define EVERING_REGION_H

/**
 * region.h - memory that several processes map.
 *
 * A region is one anonymous memory file, sealed at its size, so it leaves nothing behind
 * when its last holder is gone. Whoever has its descriptor can attach: a child that
 * inherits it, or a process that receives it over a Unix socket. Attaching makes the
 * process a participant (participant.h). Everything in the region that several processes
 * use is an object with a name in the region's directory: a pool, a ring, a uring.
 *
 * After fork() the child does not have the mapping: it must attach anew, with the
 * descriptor (which it does inherit), and becomes a participant of its own.
 */

#include <evering/atomic.h>
#include <evering/base.h>
#include <evering/version.h>

#define EVR_PAGE_4K UINT64_C(4096)
#define EVR_PAGE_2M (UINT64_C(2) << 20)

#define EVR_NAME_BYTES 48 /* of an object, with its final NUL */

enum evr_region_status {
	EVR_REGION_INITIALIZING = 1,
	EVR_REGION_INITIALIZED = 2,
	EVR_REGION_CORRUPTED = 3,
};

/**
 * The first page of every region. Layout: docs/LAYOUT.md.
 *
 * Constant once `status` says INITIALIZED, except `status` itself and `next_number`.
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
	uint64_t bytes;
	uint64_t page_bytes;
	uint64_t participants_offset;
	uint64_t agents_offset;
	uint64_t directory_offset;
	uint64_t objects_offset;
	uint32_t participants_count;
	uint32_t agents_count;
	uint32_t directory_count;
	uint32_t reserved;
	uint8_t pad[56];
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
			  offsetof(struct evr_region_shared, directory_count) == 120,
		  "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_region_shared, next_number) == 192,
		  "shared layout");
EVR_STATIC_ASSERT(sizeof(struct evr_region_shared) == 256, "shared layout");

#define EVR_REGION_MAGIC UINT64_C(0x31676e6972657645) /* "Evering1" as bytes */

/** A process's view of a region: opaque, from create, attach or receive. */
struct evr_region;

/**
 * struct evr_region_options - how to create a region. Zero means the default.
 * @size:         sizeof(struct evr_region_options): says which fields the caller knows.
 * @bytes:        the region's size, for ever; rounded up to @page_bytes. Required.
 * @page_bytes:   EVR_PAGE_4K (default) or EVR_PAGE_2M.
 * @participants: how many processes may be attached at once; default 64, at most 65 535.
 * @agents:       how many agents there may be at once, over all participants; default
 *                4 * participants, at most 65 535.
 * @name:         shown in /proc/PID/maps; default "evering".
 */
struct evr_region_options {
	size_t size;
	uint64_t bytes;
	uint64_t page_bytes;
	uint32_t participants;
	uint32_t agents;
	const char *name;
};

EVR_BEGIN_DECLS

/**
 * evr_region_create() - makes a region and attaches to it.
 * @options:    how; see struct evr_region_options.
 * @ret_region: the creator's view. End it with evr_region_detach().
 *
 * Every page is made real before this returns, so running out of memory is an error here
 * and never a signal later.
 *
 * Threads: any. Signals: not from handlers. Killed inside: nothing is left behind.
 *
 * Return: 0, or
 * -EINVAL  an option is out of range;
 * -E2BIG   the options are from a newer header and use a field unknown here;
 * -ENOSPC  @bytes cannot hold the tables, or the pages ran out while being made real;
 * -ENOMEM  no memory, or fewer free huge pages than wanted;
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

/** evr_region_number() - this view's attach number, never 0. Threads: any. */
EVR_API uint32_t evr_region_number(const struct evr_region *region);

/** evr_region_bytes() - the region's size in bytes. Threads: any. */
EVR_API uint64_t evr_region_bytes(const struct evr_region *region);

/** evr_region_page_bytes() - the size of its pages. Threads: any. */
EVR_API uint64_t evr_region_page_bytes(const struct evr_region *region);

EVR_END_DECLS
#endif

/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_NAMED_H
#define EVERING_NAMED_H

/**
 * named.h - one region behind one name, for equals: whoever comes first makes it.
 *
 * Each of several processes calls the same function with the same name. The first makes
 * the region, the others get in, and nobody needs to run anything: a thread of the
 * library's lets newcomers in, in one member; when that one leaves or dies, the same
 * thread of another member goes on with it.
 *
 *	struct evr_region_options create = { .size = sizeof(create), .bytes = 1 << 20 };
 *	struct evr_named_options options = { .size = sizeof(options), .name = "db",
 *					     .create = &create, .setup = make_pool };
 *
 *	evr_named_open(&options, deadline_ns, &named);
 *	region = evr_named_region(named);
 *	...
 *	named = evr_named_close(named);
 *
 * The memory stays anonymous. What lies in the file system is one socket, of the member
 * that serves; the last one who leaves removes it, and if all are killed the next one who
 * comes replaces it.
 *
 * There are never two regions behind one name while a member of the first lives who
 * could serve it. Each member holds a lock, which the kernel lets go of when the member
 * dies, on a byte of the directory that the socket lies in; a newcomer makes a region
 * only when he listens at the address himself and sees that nobody holds that byte. A
 * member counts from before evr_named_open() returns in it.
 *
 * What is stopped is alive: nobody takes the place of a server that is stopped, and where
 * all members that still live are stopped, newcomers wait until their deadline.
 */

#include <evering/base.h>
#include <evering/meet.h>
#include <evering/region.h>

enum evr_named_flags {
	/*
	 * Gets in and takes no part in serving: no thread, no lock. Such a member is no
	 * reason to wait for: when only they are left, a newcomer makes another region.
	 * Not with @create.
	 */
	EVR_NAMED_VISITOR = 1,
};

/** A membership in a region that has a name: opaque, from evr_named_open(). */
struct evr_named;

/**
 * struct evr_named_options - which name, and what is made if there is nothing. Zero means
 * the default. All members should say the same.
 * @size:     sizeof(struct evr_named_options).
 * @name:     as for evr_meet_path(), which says where the socket lies. One of @name and
 *            @address is required.
 * @address:  or the socket's absolute path. Not an abstract address: it has no directory
 *            that could be locked.
 * @create:   how to make the region; borrowed until the call returns. NULL: get in, never
 *            make one.
 * @setup:    or NULL: called in the creator before anybody else can get in, to make pools
 *            and urings. 0, or a negative errno: then the region is given up, and the
 *            call returns that. Others wait meanwhile. It may not open the same name, nor
 *            leave by longjmp() or an exception.
 * @context:  handed to @setup.
 * @policy:   or NULL for the default: who may be a member, so whom to let in and whom to
 *            take the region from. Its lists are copied; its callback is also called in
 *            the library's thread, until the handle is closed.
 * @mode:     of the socket file, default 0600. See struct evr_listen_options, as for the
 *            next ones.
 * @has_gid:  see @gid.
 * @gid:      of the socket file.
 * @flags:    enum evr_named_flags.
 * @standbys: members that the one who serves keeps a connection with, so that they take
 *            over at once; default 64, at most 4096. Those beyond look every 500 ms.
 */
struct evr_named_options {
	size_t size;
	const char *name;
	const char *address;
	const struct evr_region_options *create;
	int (*setup)(void *context, struct evr_region *region);
	void *context;
	const struct evr_meet_policy *policy;
	uint32_t mode;
	bool has_gid;
	uint32_t gid;
	uint32_t flags;
	uint32_t standbys;
};

EVR_BEGIN_DECLS

/**
 * evr_named_open() - gets into the region of a name, or makes it.
 * @options:     see struct evr_named_options.
 * @deadline_ns: absolute CLOCK_MONOTONIC nanoseconds for getting in; EVR_NEVER. 0 does
 *               not wait for anybody: only making the region succeeds then. Making it is
 *               not cut short.
 * @ret_named:   end it with evr_named_close().
 *
 * A process may open a name several times, and is as many members. Members must be able
 * to read the directory, and to make files in it if they are to serve; one who turns out
 * not to be able to serve stays in the region, and newcomers wait for him no longer.
 * evr_connect() gets into it too, and evr_listen() at the same address goes by no lock:
 * do not mix the latter with this.
 *
 * A child made by fork() is no member: it has neither the thread nor the descriptors. It
 * calls evr_named_close() on what it inherited, to free memory, and may open the name
 * anew. Not so for _Fork() and clone().
 *
 * Threads: any number at once. Signals: not from handlers; a wait goes on after one.
 * Waits for: the creator's setup, the server's answer. Killed inside, in @setup too: what
 * was made is gone, and the next one makes it anew. Stopped inside: as stopped members,
 * or the stopped server.
 *
 * Return: 0, or
 * -ENOENT      nobody is there, @deadline_ns is 0, and @create NULL; or no directory;
 * -ETIMEDOUT   nobody let us in in time, evr_error_detail() says who should have; or
 *              there is none and @create is NULL;
 * -EINVAL      an option is out of range; no name and no absolute path, or both;
 * -EACCES      refused by a policy, or no right to read the directory, or to the socket;
 * or what @setup returned, or any error of evr_meet_path(), evr_listen() but -EADDRINUSE
 * and -EBUSY, evr_region_create(), evr_connect() but -ECONNREFUSED, -EPIPE and -EBUSY;
 * -EAGAIN      the system gives no thread.
 */
EVR_API int evr_named_open(const struct evr_named_options *options, uint64_t deadline_ns,
			   struct evr_named **ret_named) EVR_NODISCARD;

/**
 * evr_named_region() - this member's view of the region.
 * @named: open.
 *
 * It belongs to the handle: do not detach it. Threads: any.
 */
EVR_API struct evr_region *evr_named_region(const struct evr_named *named);

/**
 * evr_named_was_created() - did this very call make the region?
 * @named: open.
 *
 * Threads: any.
 */
EVR_API bool evr_named_was_created(const struct evr_named *named);

/**
 * evr_named_close() - leaves.
 * @named: or NULL, which does nothing.
 *
 * Stops serving and detaches from the region: close first what lies in it, as for
 * evr_region_detach(). If other members are there one of them serves at once; the last
 * one removes the socket, and the region ends.
 *
 * Threads: one caller, and nobody else uses @named or its region. Not from the policy's
 * callback. Killed inside: as dead as closed.
 *
 * Return: NULL.
 */
EVR_API struct evr_named *evr_named_close(struct evr_named *named);

EVR_END_DECLS

#endif

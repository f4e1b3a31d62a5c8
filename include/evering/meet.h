/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_MEET_H
#define EVERING_MEET_H

/**
 * meet.h - how strangers get into one region: a listener, and those who connect to it.
 *
 * One member listens at an address and adds regions, each under a name; a process that
 * knows the address connects, and is a participant when evr_connect() returns. Who the
 * other is the kernel says to both, and a policy decides. The memory itself never has a
 * name: what an address leaves behind is one socket file at most, and nothing if it is an
 * abstract one ("@name").
 *
 *	evr_listen(&options, &listener);             a member
 *	evr_listener_add(listener, region, "");
 *	while (evr_accept(listener, EVR_NEVER, &peer) == 0) ...
 *
 *	evr_connect(&options, deadline_ns, &region, NULL);    the other
 *
 * Nobody needs the listener once he is in. When it is gone, any member can listen at the
 * same address: the file of a dead listener is replaced, that of a living one never is,
 * and of several who try at once one succeeds. A listener that is stopped is alive, and
 * one stopped while it takes over is so too: nobody replaces it.
 *
 * It works across users, PID, mount and user namespaces, and for a client in a chroot
 * without /proc. Whatever the other side sends, or does not send, costs it its own
 * connection and nobody else anything.
 */

#include <evering/base.h>
#include <evering/region.h>

#define EVR_MEET_PENDING_NS UINT64_C(5000000000) /* how long a client may take */

/**
 * struct evr_credentials - a process, as the kernel told them.
 * @pid: of the client when it connected, of the listener when it began to listen; 0 if
 *       the process cannot be seen from this PID namespace.
 * @uid: effective user; 65534 if it has no name in this user namespace.
 * @gid: effective group, likewise.
 */
struct evr_credentials {
	int64_t pid;
	uint32_t uid;
	uint32_t gid;
};

/**
 * struct evr_meet_policy - whom to deal with.
 * @size:       sizeof(struct evr_meet_policy).
 * @uids:       users let in beside one's own. Copied.
 * @uids_count: how many, at most 1024.
 * @gids:       groups let in, effective or supplementary. Copied.
 * @gids_count: how many, at most 1024.
 * @allow:      or NULL: decides last, whatever the lists say; @listed is what they said.
 *              Must not call functions of this listener.
 * @context:    handed to @allow.
 *
 * Without a policy, and always besides the lists: a listener lets in processes of its own
 * effective user and nobody else, root neither; a client deals with listeners of its own
 * effective user and of root. In a user namespace all users without a name there are
 * 65534 (nobody): list that one only where every such user is meant.
 */
struct evr_meet_policy {
	size_t size;
	const uint32_t *uids;
	uint32_t uids_count;
	uint32_t gids_count;
	const uint32_t *gids;
	bool (*allow)(void *context, const struct evr_credentials *who, bool listed);
	void *context;
};

/** Where others can connect: opaque, from evr_listen(). */
struct evr_listener;

/**
 * struct evr_listen_options - where and how to listen. Zero means the default.
 * @size:      sizeof(struct evr_listen_options).
 * @address:   a path, its directory part at most 75 bytes; or "@name" in the abstract
 *             namespace, which has no file and no mode, and ends with the network
 *             namespace. See also evr_meet_path().
 * @fd:        instead of @address: an inherited listening socket (SOCK_SEQPACKET), see
 *             evr_inherited_fd(). Stays the caller's. 0 means none.
 * @mode:      of the file, from its first instant; default 0600. Who may not write to it
 *             cannot even connect.
 * @has_gid:   give the file the group @gid; otherwise it has the process's.
 * @gid:       see @has_gid.
 * @backlog:   connections waiting in the kernel; default 128.
 * @pending:   clients in the middle of the handshake at once; default 64, at most 4096.
 *             One user may have half of them. Beyond, the one that has been silent for
 *             longest is dropped.
 * @policy:    or NULL for the default.
 * @standbys:  members that wait, on a connection each, to listen when this listener is
 *             gone (evr_named_open() makes them); default 64, at most 4096. Those beyond
 *             look in from time to time instead.
 * @refused:   or NULL: called, inside evr_accept(), for each client that came to nothing:
 *             by policy (-EACCES), version or garbage (-EPROTO), silence (-ETIMEDOUT),
 *             to make room (-EBUSY), an unknown region (-ENXIO), or because it could not
 *             attach. @reason is a sentence. Not for one that just hung up. Must not call
 *             functions of this listener.
 * @context:   handed to @refused.
 */
struct evr_listen_options {
	size_t size;
	const char *address;
	int fd;
	uint32_t mode;
	bool has_gid;
	uint32_t gid;
	uint32_t backlog;
	uint32_t pending;
	const struct evr_meet_policy *policy;
	void (*refused)(void *context, const struct evr_credentials *who, int error,
			const char *reason);
	void *context;
	uint32_t standbys;
};

/**
 * struct evr_peer - the other side of one meeting.
 * @who:         as the kernel told.
 * @number:      for a listener: the attach number that the client says it has; only as
 *               true as the client. For a client: 0.
 * @api_version: of the other side's library.
 * @bell_fd:     an eventfd that wakes the other side when 8 bytes are written to it; or
 *               -1. The caller's, to close.
 * @own_fd:      an eventfd that the other side writes to; or -1. The caller's, to close.
 * @region:      which it was: the listener's view, or the client's own.
 * @name:        the name that the region was asked for by.
 *
 * The eventfds are there when both asked for them (the client by @want_bells, the
 * listener by evr_listener_add_with_bells()). Both sides share each, so an ill-meaning
 * one can fill it or make it block: write where that may be, or poll() first.
 */
struct evr_peer {
	struct evr_credentials who;
	uint32_t number;
	uint32_t api_version;
	int bell_fd;
	int own_fd;
	struct evr_region *region;
	char name[EVR_NAME_BYTES];
	uint64_t reserved[4];
};

/**
 * struct evr_connect_options - where to connect, and to what. Zero means the default.
 * @size:       sizeof(struct evr_connect_options).
 * @address:    a path, or "@name". Required. A file that is a symbolic link is refused.
 * @name:       of the region, as it was added; default "".
 * @policy:     whom to take a region from, or NULL for the default.
 * @want_bells: exchange eventfds, if the listener does too. Needs a place for the peer.
 */
struct evr_connect_options {
	size_t size;
	const char *address;
	const char *name;
	const struct evr_meet_policy *policy;
	bool want_bells;
};

EVR_BEGIN_DECLS

/**
 * evr_listen() - begins to listen, or takes over from a listener that is gone.
 * @options:      where; see struct evr_listen_options.
 * @ret_listener: end it with evr_listener_close().
 *
 * A socket file appears with its final mode and group, already listening. A name that is
 * a symbolic link is not followed, a file that is no socket not touched. The directory
 * must not be writable by others unless it is sticky, as /tmp is.
 *
 * Children made by fork() keep the socket open, and the address looks taken for as long:
 * let them exec, or call evr_listener_close() in them. With evr_listener_serve() they
 * do not have it.
 *
 * Threads: any. Signals: not from handlers. Waits for nobody. Killed inside: the next one
 * who listens there sweeps up what is left. Stopped inside: as if it was listening
 * already, or as if it had not begun; who goes on then gets -EADDRINUSE if another was
 * faster.
 *
 * Return: 0, or
 * -EINVAL        an option is out of range, or no address;
 * -E2BIG         the options are from a newer header and use a field unknown here;
 * -EADDRINUSE    somebody listens there, whom evr_error_detail() names, or is about to;
 * -EEXIST        a file of this name is no socket;
 * -ELOOP         a symbolic link has this name;
 * -EACCES        no right to make the file, or to replace what is there, or the directory
 *                is writable by everybody;
 * -EPERM         the process may not give the file this group;
 * -ENOENT        there is no such directory;
 * -ENAMETOOLONG  the address is too long;
 * -EPROTOTYPE    @fd is not a listening Unix socket for sequenced packets;
 * -EBUSY         too many others came and died at the same time: try again;
 * -EMFILE, -ENFILE, -ENOMEM.
 */
EVR_API int evr_listen(const struct evr_listen_options *options,
		       struct evr_listener **ret_listener) EVR_NODISCARD;

/**
 * evr_listener_close() - stops listening, and removes the socket file if it is still its
 * own.
 * @listener: or NULL, which does nothing.
 *
 * Clients in mid-handshake are dropped; those who are in stay in. In a child made by
 * fork() it only closes the child's descriptors.
 *
 * Threads: one caller, and nobody else uses @listener. Killed inside: the file may stay,
 * and the next one who listens replaces it.
 *
 * Return: NULL.
 */
EVR_API struct evr_listener *evr_listener_close(struct evr_listener *listener);

/**
 * evr_listener_add() - offers a region to those who connect.
 * @listener: of this process.
 * @region:   attached; must stay so until it is removed or the listener closed.
 * @name:     fewer than EVR_NAME_BYTES bytes; "" is the default one.
 *
 * Any member's view will do, the creator's or another's.
 *
 * Threads: any; with evr_accept(), one at a time per listener.
 *
 * Return: 0, or -EEXIST when the name is given already, -EINVAL, -ENOMEM, or -ENOENT when
 * /proc is not mounted: a listener needs it, its clients do not.
 */
EVR_API int evr_listener_add(struct evr_listener *listener, struct evr_region *region,
			     const char *name) EVR_NODISCARD;

/**
 * evr_listener_add_with_bells() - the same, and exchanges eventfds.
 * @listener: of this process.
 * @region:   as for evr_listener_add().
 * @name:     as for evr_listener_add().
 *
 * A client that wants them gets a pair, one for each direction, made here: the listener
 * takes no descriptor from a client. Threads and errors: as evr_listener_add().
 */
EVR_API int evr_listener_add_with_bells(struct evr_listener *listener,
					struct evr_region *region,
					const char *name) EVR_NODISCARD;

/**
 * evr_listener_remove() - offers a region no longer.
 * @listener: of this process.
 * @name:     as it was added.
 *
 * Clients in mid-handshake for it are dropped; one that was handed the region already may
 * attach all the same. Threads: one at a time per listener.
 *
 * Return: 0, or -ENXIO when there is no such name.
 */
EVR_API int evr_listener_remove(struct evr_listener *listener,
				const char *name) EVR_NODISCARD;

/**
 * evr_listener_fd() - a descriptor that is readable when evr_accept() has something to
 * do.
 * @listener: of this process.
 *
 * For poll(), epoll and event loops; it belongs to the listener. That it is readable does
 * not mean that a peer is complete: call evr_accept() with deadline 0. Threads: any.
 */
EVR_API int evr_listener_fd(const struct evr_listener *listener);

/**
 * evr_accept() - goes on with all handshakes, until one is complete.
 * @listener:    of this process.
 * @deadline_ns: absolute CLOCK_MONOTONIC nanoseconds; 0 does not wait, EVR_NEVER.
 * @ret_peer:    who has attached; its descriptors are the caller's.
 *
 * Handshakes advance only in here. A client that is slow, stopped, silent or hostile
 * delays no other; it is dropped after EVR_MEET_PENDING_NS. One that is refused is told
 * why, before anything is read from it if the policy does not let it in.
 *
 * Threads: one at a time per listener. Signals: not from handlers. Killed or stopped
 * inside: a client that was handed the region attaches without us, the others get -EPIPE
 * or their deadline passes.
 *
 * Return: 0, or
 * -ETIMEDOUT     no peer was complete by then;
 * -EINTR         a signal handler ran while it waited;
 * -EMFILE, -ENFILE  no descriptors left, and no handshake that could be dropped;
 * -EINVAL        the listener was made by another process, or has a thread that accepts.
 */
EVR_API int evr_accept(struct evr_listener *listener, uint64_t deadline_ns,
		       struct evr_peer *ret_peer) EVR_NODISCARD;

/**
 * evr_listener_serve() - a thread of the library's that accepts from now on.
 * @listener: of this process. Offer regions before or afterwards.
 * @attached: or NULL: called in that thread for each peer that is in; the descriptors in
 *            it are the callee's. It may add and remove regions, and must not close the
 *            listener, leave by longjmp() or an exception, or take long: nobody gets in
 *            meanwhile. Without it descriptors are closed.
 * @context:  handed to @attached.
 *
 * The thread ends with evr_listener_close(), which waits for a callback that is running.
 * The application's signal handlers do not run in it. @refused and a policy's @allow are
 * called in it. Without descriptors left it tries again every 100 ms.
 *
 * A child made by fork() has neither the thread nor the listener's descriptors, so it
 * does not keep the address; evr_listener_close() there frees memory. fork() waits for a
 * step of a handshake, microseconds. Not so for _Fork() and clone().
 *
 * Threads: one caller, and nobody calls evr_accept() then. Stopped or killed: see
 * evr_accept().
 *
 * Return: 0, or -EALREADY when it has a thread, -EAGAIN when the system gives no thread,
 * -EINVAL when the listener was made by another process, -EMFILE, -ENFILE, -ENOMEM.
 */
EVR_API int evr_listener_serve(struct evr_listener *listener,
			       void (*attached)(void *context,
						const struct evr_peer *peer),
			       void *context) EVR_NODISCARD;

/**
 * evr_connect() - gets into a region that somebody offers.
 * @options:     where and what; see struct evr_connect_options.
 * @deadline_ns: absolute CLOCK_MONOTONIC nanoseconds; EVR_NEVER.
 * @ret_region:  this process's view. End it with evr_region_detach().
 * @ret_peer:    who handed it over; or NULL. Its descriptors are the caller's.
 *
 * Needs no /proc and no right to the region's file. Nothing is left open or attached when
 * it fails. From its return on it does not matter whether the listener lives.
 *
 * Threads: any number at once. Signals: not from handlers; a wait goes on after one.
 * Killed inside: as evr_region_attach().
 *
 * Return: 0, or
 * -ENOENT        there is no such file: nobody has listened there yet;
 * -ECONNREFUSED  the listener is gone; any member can take over with evr_listen();
 * -ETIMEDOUT     somebody listens and did not answer in time: busy or stopped;
 * -EPIPE         the listener ended, or dropped this client, in the middle;
 * -EBUSY         the listener dropped this client to make room for others;
 * -EACCES        refused by the listener's policy, by ours, or by the mode of the file;
 *                evr_error_detail() says by which, and names the user;
 * -ENXIO         the listener offers no region of this name;
 * -EPROTO        another layout version or an unknown feature, both sides named by
 *                evr_error_detail(); or what listens there is not Evering;
 * -ELOOP         the file is a symbolic link;
 * -EINVAL, -E2BIG  the options; -ENAMETOOLONG the address;
 * or any error of evr_region_attach() but -EBADF.
 */
EVR_API int evr_connect(const struct evr_connect_options *options, uint64_t deadline_ns,
			struct evr_region **ret_region,
			struct evr_peer *ret_peer) EVR_NODISCARD;

/**
 * evr_inherited_fd() - a descriptor that the service manager passed to this program.
 * @name:   as in FileDescriptorName= of the socket unit, or FDNAME= of the fd store; NULL
 *          for the first that there is.
 * @ret_fd: now close-on-exec. The caller's.
 *
 * Reads LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES as systemd sets them, and does not
 * change them: a second call gives the same. A listening socket goes into
 * evr_listen_options (the unit has ListenSequentialPacket=), a region's memory file into
 * evr_region_attach().
 *
 * Threads: any, while nobody changes the environment.
 *
 * Return: 0, or
 * -ENOENT  none was passed to this process, or none of this name;
 * -EINVAL  the variables contradict themselves;
 * -EBADF   it is not open.
 */
EVR_API int evr_inherited_fd(const char *name, int *ret_fd) EVR_NODISCARD;

/**
 * evr_meet_path() - the address of a name, for those who want to choose no path.
 * @name:   1 to 64 of A-Z a-z 0-9 . _ - and no dot in front.
 * @buffer: filled with the path and a final NUL.
 * @bytes:  its size.
 *
 * The directory is $EVERING_RUNTIME_DIR, else $XDG_RUNTIME_DIR/evering, else /run/evering
 * for root and /tmp/evering-UID for others. It is made with mode 0700 if it is missing,
 * and must be the caller's or root's, no symbolic link, and not writable by others. The
 * variables are not read in a program with more rights than who started it.
 *
 * Threads: any, while nobody changes the environment.
 *
 * Return: 0, or
 * -EINVAL        the name has other characters, or length;
 * -ENAMETOOLONG  the path does not fit, into @buffer or into an address;
 * -EPERM         the directory belongs to another user, or others may write to it;
 * -ELOOP         it is a symbolic link; -ENOTDIR: it is no directory;
 * -ENOENT        the directory above it is missing; -EACCES.
 */
EVR_API int evr_meet_path(const char *name, char *buffer, size_t bytes) EVR_NODISCARD;

EVR_END_DECLS

#endif

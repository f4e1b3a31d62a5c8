/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * evr_peer_meet.c - how the peers of one region find each other: a Unix socket that hands
 * it out, or an inherited descriptor.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "evr_peer.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_NS	      UINT64_C(5000000000)
#define RETRY_NS	      UINT64_C(10000000)
#define REGION_OVERHEAD_BYTES (UINT64_C(2) << 20)

/* Hands the region to everyone who connects. */
struct peer_listener {
	const struct evr_region *region;
	const char *path;
	struct stat made; /* the socket file that is ours to remove */
	int socket_fd;
	int end_fd; /* readable: the thread shall end */
	pthread_t thread;
};

static int fill_address(const char *path, struct sockaddr_un *ret)
{
	size_t length = strlen(path);

	if (length == 0 || length >= sizeof(ret->sun_path))
		return peer_complain(
			"socket '%s': the path of a Unix socket has 1 to %zu bytes", path,
			sizeof(ret->sun_path) - 1);
	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	memcpy(ret->sun_path, path, length + 1);
	return PEER_DONE;
}

static int connect_once(const struct sockaddr_un *address, int *ret_fd)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		int error = -errno;
		close(fd);
		return error;
	}
	*ret_fd = fd;
	return 0;
}

/* ---- --listen ---- */

static void *hand_out(void *argument)
{
	struct peer_listener *listener = argument;
	struct pollfd entries[] = {
		{.fd = listener->socket_fd, .events = POLLIN},
		{.fd = listener->end_fd, .events = POLLIN},
	};

	for (;;) {
		if (poll(entries, 2, -1) < 0 && errno != EINTR)
			return NULL;
		if (entries[1].revents)
			return NULL;
		if (!entries[0].revents)
			continue;
		int fd = accept4(listener->socket_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		int error = evr_region_send(listener->region, fd);
		if (error < 0 && error != -EPIPE)
			peer_failed("cannot hand the region out", error);
		close(fd);
	}
}

/* A socket file that nobody listens on is left over from a peer that was killed. */
static int remove_stale(const char *path, const struct sockaddr_un *address)
{
	struct stat there;
	int fd;

	if (lstat(path, &there) < 0)
		return errno == ENOENT ? PEER_DONE
				       : peer_complain("'%s': %s", path, strerror(errno));
	if (!S_ISSOCK(there.st_mode))
		return peer_complain(
			"'%s' exists and is not a socket: choose another path", path);
	int error = connect_once(address, &fd);
	if (error == 0) {
		close(fd);
		return peer_complain(
			"'%s': somebody listens there already: use --connect, or "
			"choose another path",
			path);
	}
	if (error != -ECONNREFUSED)
		return peer_complain("'%s': %s", path, strerror(-error));
	if (unlink(path) < 0 && errno != ENOENT)
		return peer_complain("cannot replace '%s': %s", path, strerror(errno));
	return PEER_DONE;
}

static int bind_socket(struct peer_listener *listener)
{
	struct sockaddr_un address;
	int status = fill_address(listener->path, &address);

	if (status == PEER_DONE)
		status = remove_stale(listener->path, &address);
	if (status != PEER_DONE)
		return status;

	listener->socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener->socket_fd < 0)
		return peer_complain("no socket: %s", strerror(errno));
	/* Whoever gets the region can write to it: for this user alone. */
	mode_t mask = umask(0177);
	int bound =
		bind(listener->socket_fd, (struct sockaddr *)&address, sizeof(address));
	int error = errno;
	umask(mask);
	if (bound < 0)
		return peer_complain("cannot listen on '%s': %s", listener->path,
				     strerror(error));
	if (stat(listener->path, &listener->made) < 0 ||
	    listen(listener->socket_fd, 64) < 0)
		return peer_complain("cannot listen on '%s': %s", listener->path,
				     strerror(errno));
	return PEER_DONE;
}

static int start_listening(struct peer *peer)
{
	struct peer_listener *listener = calloc(1, sizeof(*listener));

	if (!listener)
		return peer_complain("no memory");
	listener->region = peer->region;
	listener->path = peer->options->listen_path;
	listener->socket_fd = -1;
	listener->end_fd = eventfd(0, EFD_CLOEXEC);
	int status = bind_socket(listener);
	if (status == PEER_DONE) {
		int error = pthread_create(&listener->thread, NULL, hand_out, listener);
		if (error)
			status = peer_complain("no thread: %s", strerror(error));
	}
	if (status == PEER_DONE) {
		peer->listener = listener;
		return PEER_DONE;
	}
	if (listener->made.st_ino)
		unlink(listener->path);
	if (listener->socket_fd >= 0)
		close(listener->socket_fd);
	close(listener->end_fd);
	free(listener);
	return status;
}

static void stop_listening(struct peer_listener *listener)
{
	struct stat there;

	if (!listener)
		return;
	/* Not one that another peer has put there meanwhile. */
	if (lstat(listener->path, &there) == 0 && there.st_ino == listener->made.st_ino &&
	    there.st_dev == listener->made.st_dev)
		unlink(listener->path);
	if (eventfd_write(listener->end_fd, 1) == 0)
		pthread_join(listener->thread, NULL);
	close(listener->socket_fd);
	close(listener->end_fd);
	free(listener);
}

static int create_region(struct peer *peer)
{
	const struct peer_options *options = peer->options;
	uint64_t blocks_bytes = (uint64_t)options->blocks *
				(options->block_bytes + EVR_BLOCK_PREFIX_BYTES);

	return peer_create_region(peer, options->region_bytes
						? options->region_bytes
						: blocks_bytes + blocks_bytes / 64 +
							  REGION_OVERHEAD_BYTES);
}

/* ---- --connect ---- */

static int receive_region(struct peer *peer)
{
	const char *path = peer->options->connect_path;
	uint64_t give_up_ns = peer_now_ns() + PATIENCE_NS;
	struct timeval patience = {.tv_sec =
					   (time_t)(PATIENCE_NS / UINT64_C(1000000000))};
	struct sockaddr_un address;
	int error;
	int fd;

	if (fill_address(path, &address) != PEER_DONE)
		return PEER_FAILED;
	while ((error = connect_once(&address, &fd)) < 0) {
		if ((error != -ENOENT && error != -ECONNREFUSED) ||
		    peer_now_ns() > give_up_ns)
			return peer_complain(
				"cannot connect to '%s': %s; start a peer with "
				"--listen '%s' first",
				path, strerror(-error), path);
		peer_sleep_ns(RETRY_NS);
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	error = evr_region_receive(fd, &peer->region);
	close(fd);
	if (error == -EAGAIN)
		return peer_complain("'%s' accepted, but sent no region within 5 s",
				     path);
	return error < 0 ? peer_failed("cannot attach", error) : PEER_DONE;
}

/* ---- pool and uring, whoever comes first ---- */

static int create_pool(struct peer *peer)
{
	const struct peer_options *options = peer->options;
	struct evr_pool_class class = {options->block_bytes, options->blocks, 0};
	struct evr_pool_options pool_options = {
		.size = sizeof(pool_options),
		.classes = &class,
		.classes_count = 1,
	};

	return evr_pool_create(peer->region, &pool_options, &peer->pool);
}

static int open_pool(struct peer *peer)
{
	return evr_pool_open(peer->region, &peer->pool);
}

static int create_uring(struct peer *peer)
{
	struct evr_uring_options uring_options = {
		.size = sizeof(uring_options),
		.name = peer->options->uring,
	};

	return evr_uring_create(peer->pool, &uring_options, &peer->uring);
}

static int open_uring(struct peer *peer)
{
	return evr_uring_open(peer->pool, peer->options->uring, 0, 0, &peer->uring);
}

/* Opens what is there, creates what is not; waits while another peer is creating it. */
static int find_or_make(struct peer *peer, int (*open)(struct peer *),
			int (*create)(struct peer *))
{
	uint64_t give_up_ns = peer_now_ns() + PATIENCE_NS;

	for (;;) {
		int error = open(peer);

		if (error == -ENOENT)
			error = create(peer);
		if ((error != -EAGAIN && error != -EEXIST && error != -EBUSY) ||
		    peer_now_ns() > give_up_ns)
			return error;
		peer_sleep_ns(RETRY_NS);
	}
}

int peer_meet(struct peer *peer)
{
	const struct peer_options *options = peer->options;
	int status = PEER_DONE;
	int error;

	if (options->listen_path) {
		status = create_region(peer);
	} else if (options->connect_path) {
		status = receive_region(peer);
	} else {
		error = evr_region_attach(options->region_fd, &peer->region);
		if (error < 0)
			status = peer_failed("cannot attach", error);
	}
	if (status == PEER_DONE && options->report)
		status = peer_report(peer);
	if (status != PEER_DONE)
		return status;

	error = find_or_make(peer, open_pool, create_pool);
	if (error < 0)
		return peer_failed("no pool", error);
	error = find_or_make(peer, open_uring, create_uring);
	if (error < 0)
		return peer_failed("no uring", error);
	error = evr_agent_open(peer->pool, &peer->agent);
	if (error < 0)
		return peer_failed("no agent", error);
	return options->listen_path ? start_listening(peer) : PEER_DONE;
}

void peer_leave(struct peer *peer)
{
	stop_listening(peer->listener);
	evr_agent_close(&peer->agent);
	evr_uring_close(peer->uring);
	evr_pool_close(peer->pool);
	evr_region_detach(peer->region);
}

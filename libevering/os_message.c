/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* os_message.c - Unix sockets for sequenced packets: addresses, messages, who it is. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "os.h"
#include "os_errno.h"

#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

/* The kernel's limit of a process's supplementary groups. */
#define GROUPS_MAX 65536
#define GROUPS_MOST 64 /* have less than this: no allocation */

#define NOBODY_KNOWN UINT32_MAX

/* ---- messages ---- */

static int socket_error(void)
{
	return errno == ECONNRESET || errno == ENOTCONN ? -EPIPE : -errno;
}

union control {
	/* More than are wanted, so that a surplus arrives and is seen. */
	char bytes[CMSG_SPACE((EVRI_OS_MESSAGE_FDS_MAX + 1) * sizeof(int)) + 64];
	struct cmsghdr alignment;
};

int evri_os_message_send(int socket_fd, const struct evri_os_message *message)
{
	EVRI_OS_KEEP_ERRNO;
	union control control;
	struct iovec vector = {
		.iov_base = (void *)(uintptr_t)message->data,
		.iov_len = message->bytes,
	};
	struct msghdr packet = { .msg_iov = &vector, .msg_iovlen = 1 };
	size_t fds_bytes = message->fds_count * sizeof(int);
	ssize_t sent;

	if (message->bytes == 0 || message->bytes > EVRI_OS_MESSAGE_BYTES_MAX ||
	    message->fds_count > EVRI_OS_MESSAGE_FDS_MAX)
		return -EINVAL;
	if (message->fds_count > 0) {
		struct cmsghdr *header;

		memset(&control, 0, sizeof(control));
		packet.msg_control = control.bytes;
		packet.msg_controllen = CMSG_SPACE(fds_bytes);
		header = CMSG_FIRSTHDR(&packet);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(fds_bytes);
		memcpy(CMSG_DATA(header), message->fds, fds_bytes);
	}
	do {
		sent = sendmsg(socket_fd, &packet, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return socket_error();
	return (size_t)sent == message->bytes ? 0 : -EIO;
}

/* Puts the descriptors of a message into ours; those beyond its room are closed and
 * counted. */
static size_t take_descriptors(struct msghdr *packet, struct evri_os_message *message)
{
	struct cmsghdr *header;
	size_t surplus = 0;

	for (header = CMSG_FIRSTHDR(packet); header != NULL;
	     header = CMSG_NXTHDR(packet, header)) {
		size_t payload_bytes = header->cmsg_len - CMSG_LEN(0);
		size_t at;

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		for (at = 0; at + sizeof(int) <= payload_bytes; at += sizeof(int)) {
			int fd;

			memcpy(&fd, CMSG_DATA(header) + at, sizeof(fd));
			if (message->fds_count < EVRI_OS_MESSAGE_FDS_MAX) {
				message->fds[message->fds_count++] = fd;
			} else {
				close(fd);
				surplus++;
			}
		}
	}
	return surplus;
}

static int receive(int socket_fd, struct evri_os_message *message, bool plain)
{
	union control control;
	struct iovec vector = {
		.iov_base = message->data,
		.iov_len = message->bytes_max,
	};
	struct msghdr packet = { .msg_iov = &vector, .msg_iovlen = 1 };
	ssize_t received;
	size_t surplus;
	int tries = 0;

	message->fds_count = 0;
	memset(message->fds, 0xff, sizeof(message->fds));
	if (message->bytes_max == 0 || message->bytes_max > sizeof(message->data))
		return -EINVAL;
	do {
		if (!plain) {
			packet.msg_control = control.bytes;
			packet.msg_controllen = sizeof(control.bytes);
		}
		received = recvmsg(socket_fd, &packet, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		/* An end that closed with something of ours unread resets first, and only
		 * then hands out what it had said: a refusal, with its reason. */
	} while (received < 0 &&
		 (errno == EINTR || (errno == ECONNRESET && tries++ == 0)));
	if (received < 0)
		return socket_error();

	surplus = take_descriptors(&packet, message);
	if (received == 0 && message->fds_count == 0 && surplus == 0 &&
	    !(packet.msg_flags & MSG_CTRUNC))
		return -EPIPE;
	if (received == 0 || surplus > 0 || packet.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return -EPROTO;
	message->bytes = (size_t)received;
	return 0;
}

int evri_os_message_receive(int socket_fd, struct evri_os_message *message)
{
	EVRI_OS_KEEP_ERRNO;
	int error = receive(socket_fd, message, false);

	if (error < 0)
		evri_os_message_close(message);
	return error;
}

int evri_os_message_receive_plain(int socket_fd, struct evri_os_message *message)
{
	EVRI_OS_KEEP_ERRNO;

	return receive(socket_fd, message, true);
}

void evri_os_message_close(struct evri_os_message *message)
{
	EVRI_OS_KEEP_ERRNO;

	for (size_t i = 0; i < message->fds_count; i++)
		if (message->fds[i] >= 0)
			close(message->fds[i]);
	message->fds_count = 0;
}

/* ---- who ---- */

int evri_os_socket_credentials(int socket_fd, struct evri_os_credentials *ret)
{
	EVRI_OS_KEEP_ERRNO;
	struct ucred who;
	socklen_t bytes = sizeof(who);

	if (getsockopt(socket_fd, SOL_SOCKET, SO_PEERCRED, &who, &bytes) < 0)
		return -errno;
	*ret = (struct evri_os_credentials){ .pid = who.pid,
					     .uid = who.uid,
					     .gid = who.gid };
	return 0;
}

static bool any_listed(const gid_t *groups, size_t groups_count, const uint32_t *gids,
		       size_t count)
{
	for (size_t i = 0; i < groups_count; i++)
		for (size_t j = 0; j < count; j++)
			if (groups[i] == gids[j])
				return true;
	return false;
}

int evri_os_socket_in_groups(int socket_fd, const uint32_t *gids, size_t count)
{
	EVRI_OS_KEEP_ERRNO;
	gid_t few[GROUPS_MOST];
	gid_t *groups = few;
	socklen_t bytes = sizeof(few);
	int result = 0;

	if (count == 0)
		return 0;
	if (getsockopt(socket_fd, SOL_SOCKET, SO_PEERGROUPS, few, &bytes) < 0) {
		/* Too many for the stack: the kernel has said how much they need. */
		if (errno != ERANGE || bytes > GROUPS_MAX * sizeof(gid_t))
			return -errno;
		groups = malloc(bytes);
		if (!groups)
			return -ENOMEM;
		if (getsockopt(socket_fd, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes) < 0)
			result = -errno;
	}
	if (result == 0)
		result = any_listed(groups, bytes / sizeof(gid_t), gids, count);
	if (groups != few)
		free(groups);
	return result;
}

void evri_os_own_ids(uint32_t *ret_uid, uint32_t *ret_gid)
{
	*ret_uid = geteuid();
	*ret_gid = getegid();
}

/* ---- addresses ---- */

static int make_address(const char *text, struct sockaddr_un *ret, socklen_t *ret_bytes)
{
	size_t length = strlen(text);
	bool is_abstract = text[0] == '@';

	if (length <= is_abstract)
		return -EINVAL;
	/* With its final NUL; the name of an abstract one has none. */
	if (length + !is_abstract > sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	memcpy(ret->sun_path, text, length);
	if (is_abstract)
		ret->sun_path[0] = '\0';
	*ret_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length +
				 !is_abstract);
	return 0;
}

static int open_socket(int *ret_fd)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int evri_os_socket_bind(const char *address, uint32_t mode, int *ret_fd)
{
	EVRI_OS_KEEP_ERRNO;
	struct sockaddr_un name;
	socklen_t bytes = 0;
	int fd = -1;
	int error = make_address(address, &name, &bytes);

	if (error == 0)
		error = open_socket(&fd);
	if (error < 0)
		return error;
	/* The file takes the socket's mode, less the umask: never more than asked. */
	if (fchmod(fd, mode) < 0 || bind(fd, (struct sockaddr *)&name, bytes) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	*ret_fd = fd;
	return 0;
}

int evri_os_socket_listen(int socket_fd, uint32_t backlog)
{
	EVRI_OS_KEEP_ERRNO;

	return listen(socket_fd, (int)backlog) < 0 ? -errno : 0;
}

static int socket_option(int fd, int name, int *ret)
{
	socklen_t bytes = sizeof(*ret);

	return getsockopt(fd, SOL_SOCKET, name, ret, &bytes) < 0 ? -errno : 0;
}

int evri_os_socket_inherit(int fd, uint32_t backlog, int *ret_fd)
{
	EVRI_OS_KEEP_ERRNO;
	int domain = 0;
	int type = 0;
	int accepts = 0;
	int flags;
	int copy;
	int error = socket_option(fd, SO_DOMAIN, &domain);

	if (error == 0)
		error = socket_option(fd, SO_TYPE, &type);
	if (error == 0)
		error = socket_option(fd, SO_ACCEPTCONN, &accepts);
	if (error == -ENOTSOCK ||
	    (error == 0 && (domain != AF_UNIX || type != SOCK_SEQPACKET || !accepts)))
		error = -EPROTOTYPE;
	if (error < 0)
		return error;
	error = evri_os_fd_duplicate(fd, &copy);
	if (error < 0)
		return error;
	/* Listening again tells those who connect that it is us now. */
	flags = fcntl(copy, F_GETFL);
	if (flags < 0 || fcntl(copy, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    listen(copy, (int)backlog) < 0) {
		error = -errno;
		close(copy);
		return error;
	}
	*ret_fd = copy;
	return 0;
}

int evri_os_socket_accept(int socket_fd, int *ret_fd)
{
	EVRI_OS_KEEP_ERRNO;
	int fd;

	do {
		fd = accept4(socket_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	} while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (fd < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	*ret_fd = fd;
	return 0;
}

/* ---- connecting and waiting ---- */

static struct timespec time_of(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / 1000000000U),
				  .tv_nsec = (long)(ns % 1000000000U) };
}

/* How long connect() may wait for room in the listener's queue: the only way to wait for
 * it, for no descriptor becomes ready when there is. */
static int bound_connect(int fd, uint64_t deadline_ns)
{
	uint64_t now_ns = evri_os_now_ns();
	uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
	struct timeval limit = { 0 };
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = left_ns ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
	if (deadline_ns != EVR_NEVER) {
		/* Rounded up; 0 would be without end. */
		uint64_t left_us = left_ns / 1000 + 1;

		limit.tv_sec = (time_t)(left_us / 1000000);
		limit.tv_usec = (suseconds_t)(left_us % 1000000);
	}
	if (fcntl(fd, F_SETFL, flags) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return -errno;
	return 0;
}

int evri_os_socket_connect(const char *address, uint64_t deadline_ns, int *ret_fd)
{
	EVRI_OS_KEEP_ERRNO;
	struct sockaddr_un name;
	socklen_t bytes = 0;
	int fd = -1;
	int error = make_address(address, &name, &bytes);

	if (error == 0)
		error = open_socket(&fd);
	if (error < 0)
		return error;
	do {
		error = bound_connect(fd, deadline_ns);
		if (error == 0 && connect(fd, (struct sockaddr *)&name, bytes) < 0)
			error = -errno;
	} while (error == -EINTR);
	if (error < 0) {
		close(fd);
		return error == -EAGAIN ? -ETIMEDOUT : error;
	}
	*ret_fd = fd;
	return 0;
}

int evri_os_socket_probe(const char *address, struct evri_os_credentials *ret)
{
	EVRI_OS_KEEP_ERRNO;
	struct evri_os_credentials who = { .gid = NOBODY_KNOWN };
	int fd;
	int error = evri_os_socket_connect(address, 0, &fd);

	/* A full queue, or a socket of another kind: somebody has it open. */
	if (error == 0) {
		(void)!evri_os_socket_credentials(fd, &who);
		close(fd);
	} else if (error != -ETIMEDOUT && error != -EPROTOTYPE) {
		return error;
	}
	*ret = who;
	return 0;
}

int evri_os_wait_readable(int fd, uint64_t deadline_ns)
{
	EVRI_OS_KEEP_ERRNO;
	struct pollfd entry = { .fd = fd, .events = POLLIN };
	int ready;

	do {
		uint64_t now_ns = evri_os_now_ns();
		struct timespec left =
			time_of(deadline_ns > now_ns ? deadline_ns - now_ns : 0);

		ready = ppoll(&entry, 1, deadline_ns == EVR_NEVER ? NULL : &left, NULL);
	} while (ready < 0 && errno == EINTR);
	if (ready < 0)
		return -errno;
	return ready > 0 ? 0 : -ETIMEDOUT;
}

int evri_os_event_open(int *ret_fd)
{
	EVRI_OS_KEEP_ERRNO;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* os_socket.c - handing a descriptor to another process over a Unix socket. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "os.h"
#include "os_errno.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAYLOAD_BYTES_MAX 256

/* More than one descriptor needs, so that a peer's surplus arrives and can be closed, and
 * so that credentials (a socket with SO_PASSCRED) do not crowd the descriptor out. */
#define CONTROL_BYTES 256

static int socket_error(void)
{
	return errno == ECONNRESET || errno == ENOTCONN ? -EPIPE : -errno;
}

int evri_os_send_fd(int socket_fd, int fd, const void *payload, size_t bytes)
{
	EVRI_OS_KEEP_ERRNO;
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr alignment;
	} control = { { 0 } };
	struct iovec vector = {
		.iov_base = (void *)(uintptr_t)payload,
		.iov_len = bytes,
	};
	struct msghdr message = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	ssize_t sent;

	if (bytes == 0 || bytes > PAYLOAD_BYTES_MAX)
		return -EINVAL;
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(int));

	do {
		sent = sendmsg(socket_fd, &message, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return socket_error();
	/* A Unix socket takes so little as a whole or not at all. */
	return (size_t)sent == bytes ? 0 : -EIO;
}

/* Takes the descriptors out of a message: returns how many came. Exactly one goes to
 * @ret_fd; of several, none stays open. */
static int take_descriptors(struct msghdr *message, int *ret_fd)
{
	struct cmsghdr *header;
	int first = -1;
	int count = 0;

	for (header = CMSG_FIRSTHDR(message); header != NULL;
	     header = CMSG_NXTHDR(message, header)) {
		size_t payload_bytes = header->cmsg_len - CMSG_LEN(0);
		size_t at;

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		for (at = 0; at + sizeof(int) <= payload_bytes; at += sizeof(int)) {
			int fd;

			memcpy(&fd, CMSG_DATA(header) + at, sizeof(fd));
			if (count++ == 0)
				first = fd;
			else
				close(fd);
		}
	}
	if (count == 1)
		*ret_fd = first;
	else if (count > 1)
		close(first);
	return count;
}

int evri_os_receive_fd(int socket_fd, void *ret_payload, size_t bytes, int *ret_fd)
{
	EVRI_OS_KEEP_ERRNO;
	union {
		char bytes[CONTROL_BYTES];
		struct cmsghdr alignment;
	} control;
	/* One byte more than wanted shows a message that is too long. */
	char buffer[PAYLOAD_BYTES_MAX + 1];
	struct iovec vector = { .iov_base = buffer, .iov_len = bytes + 1 };
	struct msghdr message = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t received;
	int count;
	int fd;

	if (bytes == 0 || bytes > PAYLOAD_BYTES_MAX)
		return -EINVAL;
	do {
		received = recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC);
	} while (received < 0 && errno == EINTR);
	if (received < 0)
		return socket_error();

	count = take_descriptors(&message, &fd);
	if (received == 0 && count == 0)
		return -EPIPE;
	if (count == 1 && (size_t)received == bytes &&
	    !(message.msg_flags & MSG_CTRUNC)) {
		memcpy(ret_payload, buffer, bytes);
		*ret_fd = fd;
		return 0;
	}
	if (count == 1)
		close(fd);
	return -EPROTO;
}

/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_os_socket.c - os.h: one descriptor with its payload goes over a Unix socket, and
 * no other message does anything, or leaves a descriptor open.
 */

#define _GNU_SOURCE

#include "os.h"

#include "common.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

static const int kinds[] = { SOCK_STREAM, SOCK_SEQPACKET };

static const char payload[16] = "fifteen letters";

struct ends {
	int near;
	int far;
};

static struct ends new_ends(int kind)
{
	int sockets[2];

	cr_assert_eq(socketpair(AF_UNIX, kind | SOCK_CLOEXEC, 0, sockets), 0);
	return (struct ends){ .near = sockets[0], .far = sockets[1] };
}

static int new_memory(void)
{
	int fd = -1;

	cr_assert_eq(evri_os_memory_create("evering-test", 4096, 4096, &fd), 0);
	return fd;
}

/* A message made by hand, with as many descriptors as wanted. */
static void send_raw(int socket_fd, const void *text, size_t bytes, int fd, int fd_count)
{
	union {
		char bytes[CMSG_SPACE(100 * sizeof(int))];
		struct cmsghdr alignment;
	} control;
	struct iovec vector = { .iov_base = (void *)(uintptr_t)text, .iov_len = bytes };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
	int i;

	memset(&control, 0, sizeof(control));
	if (fd_count > 0) {
		struct cmsghdr *header;

		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE((size_t)fd_count * sizeof(int));
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN((size_t)fd_count * sizeof(int));
		for (i = 0; i < fd_count; i++)
			memcpy(CMSG_DATA(header) + (size_t)i * sizeof(int), &fd,
			       sizeof(fd));
	}
	cr_assert_eq(sendmsg(socket_fd, &message, 0), (ssize_t)bytes);
}

static ino_t inode_of(int fd)
{
	struct stat status;

	cr_assert_eq(fstat(fd, &status), 0);
	return status.st_ino;
}

Test(os_socket, a_descriptor_arrives_with_its_payload)
{
	size_t k;

	for (k = 0; k < COUNT_OF(kinds); k++) {
		struct ends ends = new_ends(kinds[k]);
		char received[sizeof(payload)] = "";
		int memory = new_memory();
		int fd = -1;

		cr_assert_eq(evri_os_send_fd(ends.near, memory, payload, sizeof(payload)),
			     0);
		cr_assert_eq(evri_os_receive_fd(ends.far, received, sizeof(payload), &fd),
			     0);
		cr_assert_neq(fd, memory);
		cr_assert_eq(inode_of(fd), inode_of(memory));
		cr_assert_eq(memcmp(received, payload, sizeof(payload)), 0);
		cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	}
}

Test(os_socket, messages_arrive_one_by_one_in_their_order)
{
	size_t k;
	char i;

	for (k = 0; k < COUNT_OF(kinds); k++) {
		struct ends ends = new_ends(kinds[k]);
		int memory = new_memory();

		for (i = 0; i < 5; i++)
			cr_assert_eq(evri_os_send_fd(ends.near, memory, &i, 1), 0);
		for (i = 0; i < 5; i++) {
			char received = -1;
			int fd = -1;

			cr_assert_eq(evri_os_receive_fd(ends.far, &received, 1, &fd), 0);
			cr_assert_eq(received, i);
			cr_assert_eq(inode_of(fd), inode_of(memory));
		}
	}
}

Test(os_socket, the_longest_payload_is_256_bytes)
{
	struct ends ends = new_ends(SOCK_STREAM);
	char received[257];
	char text[257];
	int fd = -77;

	memset(text, 'x', sizeof(text));
	cr_assert_eq(evri_os_send_fd(ends.near, new_memory(), text, 256), 0);
	cr_assert_eq(evri_os_receive_fd(ends.far, received, 256, &fd), 0);
	cr_assert_eq(memcmp(text, received, 256), 0);
	cr_assert_eq(evri_os_send_fd(ends.near, fd, text, 257), -EINVAL);
	cr_assert_eq(evri_os_send_fd(ends.near, fd, text, 0), -EINVAL);
	cr_assert_eq(evri_os_receive_fd(ends.far, received, 257, &fd), -EINVAL);
	cr_assert_eq(evri_os_receive_fd(ends.far, received, 0, &fd), -EINVAL);
}

struct malformed {
	const char *what;
	size_t bytes;
	int fd_count;
};

static const struct malformed malformed[] = {
	{ "no descriptor", 16, 0 },
	{ "two descriptors", 16, 2 },
	{ "three descriptors", 16, 3 },
	{ "more descriptors than the receiver has room for", 16, 100 },
	{ "one byte too few", 15, 1 },
	{ "one byte too many", 17, 1 },
	{ "far too long", 300, 1 },
	{ "too long and two descriptors", 300, 2 },
	{ "too short and no descriptor", 1, 0 },
};

Test(os_socket, a_malformed_message_is_refused_and_leaves_no_descriptor_open)
{
	char text[300] = { 0 };
	size_t k;
	size_t i;

	for (k = 0; k < COUNT_OF(kinds); k++) {
		int memory = new_memory();

		for (i = 0; i < COUNT_OF(malformed); i++) {
			struct ends ends = new_ends(kinds[k]);
			char received[16] = "untouched";
			int before;
			int error;
			int fd = -77;

			send_raw(ends.near, text, malformed[i].bytes, memory,
				 malformed[i].fd_count);
			before = open_descriptors();
			error = evri_os_receive_fd(ends.far, received, 16, &fd);
			cr_assert_eq(error, -EPROTO, "%s: %d", malformed[i].what, error);
			cr_assert_eq(open_descriptors(), before, "%s", malformed[i].what);
			cr_assert_str_eq(received, "untouched", "%s", malformed[i].what);
			cr_assert_eq(fd, -77, "%s", malformed[i].what);
			close(ends.near);
			close(ends.far);
		}
	}
}

Test(os_socket, a_receiver_that_wants_credentials_too_still_gets_the_descriptor)
{
	struct ends ends = new_ends(SOCK_STREAM);
	char received[sizeof(payload)];
	int memory = new_memory();
	int enabled = 1;
	int fd = -1;

	cr_assert_eq(setsockopt(ends.far, SOL_SOCKET, SO_PASSCRED, &enabled, sizeof(int)),
		     0);
	cr_assert_eq(evri_os_send_fd(ends.near, memory, payload, sizeof(payload)), 0);
	cr_assert_eq(evri_os_receive_fd(ends.far, received, sizeof(payload), &fd), 0);
	cr_assert_eq(inode_of(fd), inode_of(memory));
}

Test(os_socket, an_other_end_that_is_gone_is_an_error_and_not_a_signal, .timeout = 10)
{
	size_t k;

	for (k = 0; k < COUNT_OF(kinds); k++) {
		struct ends ends = new_ends(kinds[k]);
		char received[sizeof(payload)];
		int fd = -77;

		close(ends.far);
		cr_assert_eq(evri_os_send_fd(ends.near, new_memory(), payload,
					     sizeof(payload)),
			     -EPIPE);
		cr_assert_eq(
			evri_os_receive_fd(ends.near, received, sizeof(payload), &fd),
			-EPIPE);
		cr_assert_eq(fd, -77);
	}
}

Test(os_socket, an_end_that_closed_with_a_message_unread_is_gone_too, .timeout = 10)
{
	struct ends ends = new_ends(SOCK_STREAM);
	char received[sizeof(payload)];
	int fd = -77;

	cr_assert_eq(evri_os_send_fd(ends.near, new_memory(), payload, sizeof(payload)),
		     0);
	close(ends.far);
	cr_assert_eq(evri_os_receive_fd(ends.near, received, sizeof(payload), &fd),
		     -EPIPE);
}

Test(os_socket, a_socket_that_does_not_block_says_EAGAIN)
{
	struct ends ends = new_ends(SOCK_STREAM | SOCK_NONBLOCK);
	char received[sizeof(payload)];
	int fd = -77;

	cr_assert_eq(evri_os_receive_fd(ends.near, received, sizeof(payload), &fd),
		     -EAGAIN);
}

Test(os_socket, what_is_no_descriptor_cannot_be_sent_and_errno_stays)
{
	struct ends ends = new_ends(SOCK_STREAM);
	char received[sizeof(payload)];
	int fd = -77;

	errno = ENOTTY;
	cr_assert_eq(evri_os_send_fd(ends.near, -1, payload, sizeof(payload)), -EBADF);
	cr_assert_eq(evri_os_send_fd(-1, ends.near, payload, sizeof(payload)), -EBADF);
	cr_assert_eq(evri_os_receive_fd(-1, received, sizeof(payload), &fd), -EBADF);
	cr_assert_eq(errno, ENOTTY);
}

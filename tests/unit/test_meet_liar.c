/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_meet_liar.c - meet.h: a listener that does not keep to the rules. The client gets
 * an error, is attached to nothing, keeps no descriptor, and never hangs.
 */

#include "meet.h"

#include <fcntl.h>

#include "meet_internal.h"

struct liar {
	struct host_board *board;
	/* What it answers to a hello, in a region's place. */
	void (*answer)(int fd, struct evr_region *region);
};

static void lie(void *argument)
{
	struct liar *liar = argument;
	struct evr_region *region = child_region_of(1 << 20);
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	char hello[EVRI_MEET_FRAME_BYTES];

	strcpy(name.sun_path, liar->board->address);
	CHILD_MUST(bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0);
	CHILD_MUST(listen(fd, 10) == 0);
	SET(liar->board->ready, 1);
	for (;;) {
		int client = accept(fd, NULL, NULL);

		CHILD_MUST(recv(client, hello, sizeof(hello), 0) == sizeof(hello));
		liar->answer(client, region);
		close(client);
		/* Whoever attached for a moment has left again: nobody but us. */
		CHILD_MUST(evr_participant_find_dead(region) == 0);
	}
}

static void try_liar(int expected, void (*answer)(int fd, struct evr_region *region))
{
	struct host_board *board = new_board();
	struct liar liar = { board, answer };
	pid_t host = start_child(lie, &liar);
	uint64_t start_ns;

	cr_assert(HOLDS_WITHIN(5000, GET(board->ready)));
	start_ns = now_ns();
	FAILS(expected, visit(board->address, ""));
	FAILS(expected, visit(board->address, ""));
	cr_assert_leq(now_ns() - start_ns, 3 * SECOND_NS, "it hung");
	cr_assert_eq(waitpid(host, NULL, WNOHANG), 0, "the liar has ended");
	end_child(host);
	remove_board(board);
}

/* A right answer, to be made wrong. */
static struct evri_os_message right_answer(struct evr_region *region)
{
	struct evri_meet_frame frame = evri_meet_frame(EVRI_MEET_ANSWER);
	struct evri_os_message message = { .fds_count = 2 };
	char *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, evr_region_fd(region), 0);

	memcpy(frame.id, ((struct evr_region_shared *)map)->id, sizeof(frame.id));
	munmap(map, 4096);
	evri_meet_encode(&frame, &message);
	message.fds[0] = evr_region_fd(region);
	CHILD_MUST(evri_os_liveness_pack(evr_region_fd(region), &message.fds[1]) == 0);
	return message;
}

static void answer_with(int fd, const struct evri_os_message *message)
{
	CHILD_MUST(evri_os_message_send(fd, message) == 0);
	close(message->fds[1]);
}

static void hang_up(int fd, struct evr_region *region)
{
	(void)fd;
	(void)region;
}

static void answer_garbage(int fd, struct evr_region *region)
{
	(void)region;
	CHILD_MUST(send(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, 0) == 28);
}

static void answer_half(int fd, struct evr_region *region)
{
	struct evri_os_message message = right_answer(region);

	message.bytes /= 2;
	answer_with(fd, &message);
}

static void answer_without_descriptors(int fd, struct evr_region *region)
{
	struct evri_os_message message = right_answer(region);

	message.fds_count = 0;
	answer_with(fd, &message);
}

static void answer_with_one(int fd, struct evr_region *region)
{
	struct evri_os_message message = right_answer(region);

	message.fds_count = 1;
	answer_with(fd, &message);
}

static void answer_with_four(int fd, struct evr_region *region)
{
	struct evri_os_message message = right_answer(region);

	message.fds[2] = 1;
	message.fds[3] = 2;
	message.fds_count = 4;
	answer_with(fd, &message);
}

/* More than the library ever sends: past its own sending function. */
static void answer_with_many(int fd, struct evr_region *region)
{
	struct evri_os_message right = right_answer(region);
	union {
		char bytes[CMSG_SPACE(40 * sizeof(int))];
		struct cmsghdr alignment;
	} control = { { 0 } };
	struct iovec vector = { right.data, right.bytes };
	struct msghdr message = { .msg_iov = &vector,
				  .msg_iovlen = 1,
				  .msg_control = control.bytes,
				  .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	int i;

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(40 * sizeof(int));
	for (i = 0; i < 40; i++)
		memcpy(CMSG_DATA(header) + (size_t)i * sizeof(int), &right.fds[i % 2],
		       sizeof(int));
	CHILD_MUST(sendmsg(fd, &message, 0) > 0);
	close(right.fds[1]);
}

Test(meet_liar, an_answer_that_is_none_is_refused, .timeout = 30)
{
	try_liar(-EPIPE, hang_up);
	try_liar(-EPROTO, answer_garbage);
	try_liar(-EPROTO, answer_half);
}

Test(meet_liar, an_answer_with_too_few_or_too_many_descriptors_is_refused, .timeout = 30)
{
	try_liar(-EPROTO, answer_without_descriptors);
	try_liar(-EPROTO, answer_with_one);
	try_liar(-EPROTO, answer_with_four);
	try_liar(-EPROTO, answer_with_many);
}

static void answer_with_no_region(int fd, struct evr_region *region)
{
	struct evri_os_message message = right_answer(region);

	message.fds[0] = memfd_create("none", MFD_CLOEXEC);
	answer_with(fd, &message);
	close(message.fds[0]);
}

static void answer_read_only(int fd, struct evr_region *region)
{
	struct evri_os_message message = right_answer(region);
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", evr_region_fd(region));
	message.fds[0] = open(path, O_RDONLY);
	answer_with(fd, &message);
	close(message.fds[0]);
}

static void answer_another_id(int fd, struct evr_region *region)
{
	struct evri_os_message message = right_answer(region);

	message.data[64] ^= 1;
	answer_with(fd, &message);
}

Test(meet_liar, what_is_not_the_region_that_was_announced_is_left_again, .timeout = 30)
{
	try_liar(-EMEDIUMTYPE, answer_with_no_region);
	try_liar(-EPROTO, answer_read_only);
	try_liar(-EPROTO, answer_another_id);
}

/* A carrier that is not one. An empty one that is a blocking socket must not be waited
 * for: the client's signals are blocked then. */
static void answer_empty_carrier(int fd, struct evr_region *region)
{
	struct evri_os_message message = right_answer(region);
	int ends[2];

	CHILD_MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	close(message.fds[1]);
	message.fds[1] = ends[1];
	answer_with(fd, &message);
	/* And held open, until the client has given up. */
	CHILD_MUST(recv(fd, message.data, sizeof(message.data), 0) > 0);
	close(ends[0]);
}

static void answer_pipe_for_carrier(int fd, struct evr_region *region)
{
	struct evri_os_message message = right_answer(region);
	int ends[2];

	CHILD_MUST(pipe(ends) == 0);
	close(message.fds[1]);
	message.fds[1] = ends[0];
	answer_with(fd, &message);
	close(ends[1]);
}

/* A lock on another file would let the client look dead to everybody. */
static void answer_carrier_of_another_file(int fd, struct evr_region *region)
{
	struct evri_os_message message = right_answer(region);
	struct evr_region *other = child_region_of(1 << 20);

	close(message.fds[1]);
	CHILD_MUST(evri_os_liveness_pack(evr_region_fd(other), &message.fds[1]) == 0);
	answer_with(fd, &message);
	evr_region_detach(other);
}

Test(meet_liar, a_carrier_that_is_empty_or_of_another_file_is_refused, .timeout = 30)
{
	try_liar(-EPROTO, answer_empty_carrier);
	try_liar(-EPROTO, answer_pipe_for_carrier);
	try_liar(-EPROTO, answer_carrier_of_another_file);
}

static void refuse_strangely(int fd, struct evr_region *region)
{
	struct evri_meet_frame frame = evri_meet_frame(EVRI_MEET_ANSWER);
	struct evri_os_message message = { 0 };

	(void)region;
	frame.status = -5000;
	evri_meet_encode(&frame, &message);
	CHILD_MUST(evri_os_message_send(fd, &message) == 0);
}

static void refuse_with_escapes(int fd, struct evr_region *region)
{
	struct evri_meet_frame frame = evri_meet_frame(EVRI_MEET_ANSWER);
	struct evri_os_message message = { 0 };

	(void)region;
	frame.status = -EACCES;
	memset(frame.reason, '\033', sizeof(frame.reason));
	evri_meet_encode(&frame, &message);
	CHILD_MUST(evri_os_message_send(fd, &message) == 0);
}

Test(meet_liar, a_refusal_is_an_errno_and_its_reason_printable, .timeout = 30)
{
	try_liar(-EPROTO, refuse_strangely);
	try_liar(-EACCES, refuse_with_escapes);
	cr_assert_eq(strchr(evr_error_detail(), '\033'), NULL);
}

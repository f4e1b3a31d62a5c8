/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* meet_connect.c - the client's side of the handshake. */

#include <evering/error.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "meet_internal.h"
#include "options.h"
#include "region_internal.h"

/* What an answer brings, in this order. */
enum {
	FD_MEMORY,
	FD_CARRIER,
	FD_OWN, /* the listener writes to it: its bell */
	FD_BELL,
	FDS_WITHOUT_BELLS = FD_OWN,
	FDS_WITH_BELLS = FD_BELL + 1,
};

static int check_options(const struct evr_connect_options *options, bool has_peer,
			 struct evr_connect_options *ret)
{
	struct evr_connect_options known = { 0 };
	int error = evri_options_take(options, offsetof(struct evr_connect_options, name),
				      &known, sizeof(known), "connect");

	if (error < 0)
		return error;
	if (!known.address || !known.address[0])
		return evri_fail(-EINVAL, "connect options: an address is required");
	if (!known.name)
		known.name = "";
	if (strlen(known.name) >= EVR_NAME_BYTES)
		return evri_fail(-EINVAL, "connect options: the name '%.60s' is too long",
				 known.name);
	if (known.want_bells && !has_peer)
		return evri_fail(-EINVAL, "connect options: bells are handed out in the "
					  "peer, and there is no place for it");
	*ret = known;
	return 0;
}

static int open_connection(const char *address, uint64_t deadline_ns, int *ret_fd)
{
	struct evri_os_file_id id;
	int error = 0;

	/* A courtesy: who is behind a link is up to who made it. What counts is whom the
	 * kernel names afterwards. */
	if (address[0] != '@' && evri_os_place_identify_at(address, &id) == 0) {
		if (id.is_link)
			return evri_fail(-ELOOP, "%s is a symbolic link", address);
		if (!id.is_socket)
			return evri_fail(-EPROTO, "%s is no socket", address);
	}
	error = evri_os_socket_connect(address, deadline_ns, ret_fd);
	switch (error) {
	case 0:
		return 0;
	case -ECONNREFUSED:
		return evri_fail(
			error,
			"%s: nobody listens there; any member of the region can, "
			"with evr_listen()",
			address);
	case -ENOENT:
		return evri_fail(error, "%s: nobody has listened there yet", address);
	case -ETIMEDOUT:
		return evri_fail(error, "%s: the listener takes nobody in", address);
	case -EPROTOTYPE:
		return evri_fail(-EPROTO, "%s: a socket of another kind", address);
	case -EACCES:
		return evri_fail(error, "%s: no right to write to the socket's file",
				 address);
	default:
		return evri_fail(error, "%s: %s", address, strerror(-error));
	}
}

static int say_hello(int fd, const struct evr_connect_options *options, uint32_t flags,
		     const struct evr_region *member_of)
{
	struct evri_meet_frame frame = evri_meet_frame(EVRI_MEET_HELLO);
	struct evri_os_message message = { 0 };
	int error;

	frame.flags = flags | (options->want_bells ? EVRI_MEET_WITH_BELLS : 0);
	if (member_of)
		memcpy(frame.id, member_of->shared->id, sizeof(frame.id));
	strcpy(frame.name, options->name);
	evri_meet_encode(&frame, &message);
	error = evri_os_message_send(fd, &message);
	/* A refusal comes before anything was said; then there is something to read. */
	return error == -EPIPE ? 0 : error;
}

/* On success the message's descriptors are the caller's. */
static int hear_answer(int fd, const char *address, uint64_t deadline_ns,
		       struct evri_os_message *message, struct evri_meet_frame *answer)
{
	size_t fds_wanted;
	int error = evri_os_wait_readable(fd, deadline_ns);

	if (error < 0)
		return evri_fail(error, "%s: the listener does not answer", address);
	message->bytes_max = EVRI_OS_MESSAGE_BYTES_MAX;
	error = evri_os_message_receive(fd, message);
	if (error == -EPIPE)
		return evri_fail(error, "%s: the listener hung up", address);
	if (error == -EPROTO)
		return evri_fail(error, "%s: the answer is no frame of Evering's",
				 address);
	if (error < 0)
		return evri_fail(error, "%s: %s", address, strerror(-error));

	error = evri_meet_decode(message, EVRI_MEET_ANSWER, answer);
	if (error == 0 && answer->status < 0)
		error = evri_fail(answer->status, "refused by the listener at %s: %s",
				  address, answer->reason);
	fds_wanted = error == 0 && answer->flags & EVRI_MEET_WITH_BELLS ?
			     FDS_WITH_BELLS :
			     FDS_WITHOUT_BELLS;
	if (error == 0 && message->fds_count != fds_wanted)
		error = evri_fail(-EPROTO, "%s: %zu descriptors came, %zu wanted",
				  address, message->fds_count, fds_wanted);
	if (error < 0)
		evri_os_message_close(message);
	return error;
}

static int attach(const struct evri_os_message *message,
		  const struct evri_meet_frame *answer, struct evr_region **ret_region)
{
	struct evr_region *region;
	int error = evri_region_attach_with(message->fds[FD_MEMORY],
					    message->fds[FD_CARRIER], &region);

	/* These are the other side's doing, not the caller's. */
	if (error == -EBADF || error == -EAGAIN || error == -EPIPE || error == -ENOTSOCK)
		error = -EPROTO;
	if (error < 0)
		return error;
	if (memcmp(region->shared->id, answer->id, sizeof(answer->id)) != 0) {
		evr_region_detach(region);
		return evri_fail(-EPROTO,
				 "the region that came is not the one announced");
	}
	*ret_region = region;
	return 0;
}

/* Whether anybody hears it is not our concern any more. */
static void tell_result(int fd, int error, const struct evr_region *region)
{
	struct evri_meet_frame frame = evri_meet_frame(EVRI_MEET_ATTACHED);
	struct evri_os_message message = { 0 };

	frame.status = error;
	if (error < 0)
		snprintf(frame.reason, sizeof(frame.reason), "%s", evr_error_detail());
	else
		frame.number = evr_region_number(region);
	evri_meet_encode(&frame, &message);
	(void)!evri_os_message_send(fd, &message);
}

/* Of one who stands by: does the listener count him in? */
static int hear_welcome(int fd, const char *address, int64_t *ret_rank)
{
	struct evri_os_message message = { .bytes_max = EVRI_OS_MESSAGE_BYTES_MAX };
	struct evri_meet_frame welcome;
	int error = evri_os_message_receive_plain(fd, &message);

	if (error == -EAGAIN)
		return error;
	if (error < 0)
		return evri_fail(error, "%s: the listener ended before it said welcome",
				 address);
	/* A refusal is an answer, not a welcome. */
	if (evri_meet_decode(&message, EVRI_MEET_ANSWER, &welcome) == 0 &&
	    welcome.status < 0)
		return evri_fail(welcome.status, "refused by the listener at %s: %s",
				 address, welcome.reason);
	error = evri_meet_decode(&message, EVRI_MEET_WELCOME, &welcome);
	if (error == 0)
		*ret_rank = welcome.flags & EVRI_MEET_STAND_BY ?
				    (int64_t)welcome.number :
				    -1;
	return error;
}

/* After this the listener knows that we hold the lock, or we do not hold it. */
static int be_welcomed(int fd, const char *address, uint64_t deadline_ns,
		       struct evri_meet_stand *stand)
{
	int64_t rank = -1;
	int error = evri_os_wait_readable(fd, deadline_ns);

	if (error < 0)
		return evri_fail(error, "%s: the listener does not say welcome", address);
	error = hear_welcome(fd, address, &rank);
	if (error < 0)
		return error == -EAGAIN ? -EPIPE : error;
	stand->rank = rank < 0 ? 0 : (uint32_t)rank;
	stand->connection_fd = rank < 0 ? -1 : fd;
	return 0;
}

static int take_region(int fd, const struct evr_connect_options *options,
		       uint64_t deadline_ns, struct evri_meet_stand *stand,
		       const struct evri_os_message *message,
		       const struct evri_meet_frame *answer,
		       struct evr_region **ret_region)
{
	struct evr_region *region = NULL;
	int error = 0;

	if (stand && !(answer->flags & EVRI_MEET_STAND_BY))
		error = evri_fail(-EPROTO,
				  "%s: the listener's library does not know of those who "
				  "stand by",
				  options->address);
	if (stand && error == 0)
		error = evri_os_place_lock(stand->directory_fd, stand->byte);
	if (error == 0)
		error = attach(message, answer, &region);
	tell_result(fd, error, region);
	if (stand && error == 0) {
		error = be_welcomed(fd, options->address, deadline_ns, stand);
		if (error < 0)
			evr_region_detach(region);
	}
	if (stand && error < 0)
		evri_os_place_unlock(stand->directory_fd, stand->byte);
	if (error == 0)
		*ret_region = region;
	return error;
}

static int handshake(int fd, const struct evr_connect_options *options,
		     uint64_t deadline_ns, struct evri_meet_stand *stand,
		     struct evr_region **ret_region, struct evr_peer *peer)
{
	struct evri_os_message message;
	struct evri_meet_frame answer;
	int error = say_hello(fd, options, stand ? EVRI_MEET_STAND_BY : 0, NULL);

	if (error == 0)
		error = hear_answer(fd, options->address, deadline_ns, &message, &answer);
	if (error < 0)
		return error;
	error = take_region(fd, options, deadline_ns, stand, &message, &answer,
			    ret_region);
	if (error == 0) {
		peer->api_version = answer.api_version;
		peer->region = *ret_region;
		memcpy(peer->name, answer.name, sizeof(peer->name));
		if (options->want_bells && message.fds_count == FDS_WITH_BELLS) {
			peer->own_fd = message.fds[FD_OWN];
			peer->bell_fd = message.fds[FD_BELL];
			message.fds_count = FDS_WITHOUT_BELLS;
		}
	}
	evri_os_message_close(&message);
	return error;
}

/* Whoever listens there, if our policy trusts him. */
static int open_trusted(const struct evr_connect_options *options, uint64_t deadline_ns,
			struct evr_credentials *ret_who, int *ret_fd)
{
	struct evri_meet_policy policy;
	int fd = -1;
	int error = evri_meet_policy_copy(options->policy, true, &policy);

	if (error < 0)
		return error;
	error = open_connection(options->address, deadline_ns, &fd);
	if (error == 0) {
		error = evri_meet_policy_ask(&policy, fd, ret_who);
		if (error == -EACCES)
			evri_fail_detail("%s: uid %u listens there (process %" PRId64
					 "), whom our policy does not trust",
					 options->address, ret_who->uid, ret_who->pid);
		if (error < 0)
			evri_os_fd_close(fd);
	}
	evri_meet_policy_free(&policy);
	if (error == 0)
		*ret_fd = fd;
	return error;
}

int evri_meet_connect(const struct evr_connect_options *options, uint64_t deadline_ns,
		      struct evri_meet_stand *stand, struct evr_region **ret_region,
		      struct evr_peer *ret_peer)
{
	struct evr_peer peer = { .bell_fd = -1, .own_fd = -1 };
	int fd = -1;
	int error = open_trusted(options, deadline_ns, &peer.who, &fd);

	if (error < 0)
		return error;
	if (stand)
		stand->connection_fd = -1;
	error = handshake(fd, options, deadline_ns, stand, ret_region, &peer);
	if (error < 0 || !stand || stand->connection_fd < 0)
		evri_os_fd_close(fd);
	if (error == 0)
		*ret_peer = peer;
	return error;
}

int evr_connect(const struct evr_connect_options *user_options, uint64_t deadline_ns,
		struct evr_region **ret_region, struct evr_peer *ret_peer)
{
	struct evr_connect_options options;
	struct evr_peer peer;
	int error = check_options(user_options, ret_peer != NULL, &options);

	if (error == 0)
		error = evri_meet_connect(&options, deadline_ns, NULL, ret_region, &peer);
	if (error == 0 && ret_peer)
		*ret_peer = peer;
	return error;
}

/* ---- a member, after the end of its listener ---- */

int evri_meet_return(const struct evr_connect_options *options,
		     const struct evr_region *region, int *ret_fd)
{
	struct evr_credentials who;
	int fd = -1;
	int error = open_trusted(options, 0, &who, &fd);

	if (error < 0)
		return error;
	error = say_hello(fd, options, EVRI_MEET_STAND_BY | EVRI_MEET_MEMBER, region);
	if (error < 0)
		evri_os_fd_close(fd);
	else
		*ret_fd = fd;
	return error;
}

int evri_meet_returned(int fd, const char *address, int64_t *ret_rank)
{
	return hear_welcome(fd, address, ret_rank);
}

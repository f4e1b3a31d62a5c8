/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * meet_accept.c - the listener's side of the handshake, with many clients at once.
 *
 * Nothing here waits for a client. Each has a slot, which it keeps until it has attached,
 * hung up, been refused, or taken too long; a client whose user the policy does not let
 * in never gets one. Slots are few: who has said nothing for longest makes room, first of
 * all among those of the user who has half of them already. Who stands by when he is in
 * keeps his connection in a table of its own, and is heard of again when it ends.
 */

#include <evering/error.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "meet_internal.h"
#include "region_internal.h"

/* A call that must not wait does no more than this, however fast clients come. */
#define STEPS_WITHOUT_WAITING 256

void evri_meet_pending_drop(struct evr_listener *listener,
			    struct evri_meet_pending *pending)
{
	if (pending->state == EVRI_MEET_FREE)
		return;
	/* A forked child shares the poller, and its parent goes on with the client. */
	if (listener->pid == evri_os_pid())
		evri_os_poller_remove(listener->poller_fd, pending->fd);
	evri_os_fd_close(pending->fd);
	evri_os_fd_close(pending->bell_fd);
	evri_os_fd_close(pending->own_fd);
	pending->state = EVRI_MEET_FREE;
	listener->pendings_used--;
}

void evri_meet_standby_drop(struct evr_listener *listener,
			    struct evri_meet_standby *standby)
{
	if (standby->fd < 0)
		return;
	if (listener->pid == evri_os_pid())
		evri_os_poller_remove(listener->poller_fd, standby->fd);
	evri_os_fd_close(standby->fd);
	standby->fd = -1;
}

/* Tells the client, where it still listens, and the program. The reason is
 * evr_error_detail(), which stays as it is. */
static void refuse(struct evr_listener *listener, int fd,
		   const struct evr_credentials *who, int error)
{
	struct evri_meet_frame frame = evri_meet_frame(EVRI_MEET_ANSWER);
	struct evri_os_message message = { 0 };

	frame.status = error;
	snprintf(frame.reason, sizeof(frame.reason), "%s", evr_error_detail());
	evri_meet_encode(&frame, &message);
	(void)!evri_os_message_send(fd, &message);
	if (listener->refused)
		listener->refused(listener->context, who, error, frame.reason);
}

static void refuse_pending(struct evr_listener *listener,
			   struct evri_meet_pending *pending, int error)
{
	refuse(listener, pending->fd, &pending->who, error);
	evri_meet_pending_drop(listener, pending);
}

/* ---- slots ---- */

static struct evri_meet_pending *oldest(struct evr_listener *listener,
					const uint32_t *only_uid)
{
	struct evri_meet_pending *found = NULL;

	for (uint32_t i = 0; i < listener->pendings_count; i++) {
		struct evri_meet_pending *pending = &listener->pendings[i];

		if (pending->state == EVRI_MEET_FREE ||
		    (only_uid && pending->who.uid != *only_uid))
			continue;
		/* Who has said what it wants goes after all that have not. */
		if (!found || pending->state < found->state ||
		    (pending->state == found->state &&
		     pending->deadline_ns < found->deadline_ns))
			found = pending;
	}
	return found;
}

static uint32_t slots_of(const struct evr_listener *listener, uint32_t uid)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < listener->pendings_count; i++)
		count += listener->pendings[i].state != EVRI_MEET_FREE &&
			 listener->pendings[i].who.uid == uid;
	return count;
}

static void make_room(struct evr_listener *listener, const uint32_t *only_uid)
{
	struct evri_meet_pending *victim = oldest(listener, only_uid);

	if (!victim)
		return;
	evri_fail_detail("dropped to make room for another: %u handshakes are under way",
			 listener->pendings_used);
	refuse_pending(listener, victim, -EBUSY);
}

static struct evri_meet_pending *take_slot(struct evr_listener *listener, uint32_t uid)
{
	uint32_t each = listener->pendings_count / 2 + 1;

	if (slots_of(listener, uid) >= each)
		make_room(listener, &uid);
	if (listener->pendings_used == listener->pendings_count)
		make_room(listener, NULL);
	for (uint32_t i = 0; i < listener->pendings_count; i++)
		if (listener->pendings[i].state == EVRI_MEET_FREE)
			return &listener->pendings[i];
	return NULL;
}

/* Those whose time is up go; the timer is set to the next of them. */
static void expire(struct evr_listener *listener)
{
	uint64_t now_ns = evri_os_now_ns();
	uint64_t next_ns = EVR_NEVER;

	for (uint32_t i = 0; i < listener->pendings_count; i++) {
		struct evri_meet_pending *pending = &listener->pendings[i];

		if (pending->state == EVRI_MEET_FREE)
			continue;
		if (pending->deadline_ns <= now_ns) {
			evri_fail_detail("it said nothing for %" PRIu64 " s",
					 EVR_MEET_PENDING_NS / 1000000000U);
			refuse_pending(listener, pending, -ETIMEDOUT);
		} else if (pending->deadline_ns < next_ns) {
			next_ns = pending->deadline_ns;
		}
	}
	(void)!evri_os_timer_set(listener->timer_fd, next_ns);
}

/* ---- the steps ---- */

/* A connection: one slot, if the kernel says that its user may have it. */
static int admit(struct evr_listener *listener)
{
	struct evri_meet_pending *pending;
	struct evr_credentials who = { 0 };
	int fd;
	int error = evri_os_socket_accept(listener->place.socket_fd, &fd);

	if (error == -EAGAIN)
		return 0;
	if (error == -EMFILE || error == -ENFILE || error == -ENOBUFS ||
	    error == -ENOMEM) {
		/* It stays in the kernel's queue; the next try may have a descriptor. */
		if (listener->pendings_used == 0)
			return evri_fail(error, "no descriptor for a client: %s",
					 strerror(-error));
		make_room(listener, NULL);
		return 0;
	}
	if (error < 0)
		return evri_fail(error, "accept: %s", strerror(-error));

	error = evri_meet_policy_ask(&listener->policy, fd, &who);
	if (error < 0) {
		refuse(listener, fd, &who, error);
		evri_os_fd_close(fd);
		return 0;
	}
	pending = take_slot(listener, who.uid);
	if (pending)
		error = evri_os_poller_add(listener->poller_fd, fd,
					   (uint64_t)(pending - listener->pendings));
	if (!pending || error < 0) {
		evri_os_fd_close(fd);
		return 0;
	}
	*pending = (struct evri_meet_pending){
		.state = EVRI_MEET_WANT_HELLO,
		.fd = fd,
		.deadline_ns = evri_os_now_ns() + EVR_MEET_PENDING_NS,
		.who = who,
		.bell_fd = -1,
		.own_fd = -1,
	};
	if (listener->pendings_used++ == 0)
		(void)!evri_os_timer_set(listener->timer_fd, pending->deadline_ns);
	return 0;
}

/* Can a client that knows this much of layouts use the region? */
static int check_versions(const struct evri_meet_frame *hello,
			  const struct evr_region_shared *region)
{
	if (hello->layout_version != EVR_LAYOUT_VERSION)
		return evri_fail(-EPROTO,
				 "layout version %u (library %u.%u.%u) at the client, %u "
				 "(library %s) at the listener",
				 hello->layout_version, hello->api_version >> 16,
				 hello->api_version >> 8 & 255, hello->api_version & 255,
				 EVR_LAYOUT_VERSION, EVR_VERSION_STRING);
	if (region->features_incompat & ~hello->features_incompat ||
	    region->features_ro_compat & ~hello->features_ro_compat)
		return evri_fail(-EPROTO,
				 "features incompat %#" PRIx64 " ro-compat %#" PRIx64
				 " known at the client, %#" PRIx64 " and %#" PRIx64
				 " in the region",
				 hello->features_incompat, hello->features_ro_compat,
				 region->features_incompat, region->features_ro_compat);
	return 0;
}

/* The memory file, a description of it for the client's lock, the eventfds: to the
 * client. The bells stay in @pending, the carrier in nobody's hands but the client's. */
static int hand_over(struct evri_meet_pending *pending,
		     const struct evri_meet_offer *offer,
		     const struct evri_meet_frame *hello)
{
	bool with_bells = offer->with_bells && hello->flags & EVRI_MEET_WITH_BELLS;
	struct evri_meet_frame frame = evri_meet_frame(EVRI_MEET_ANSWER);
	struct evri_os_message message = { .fds_count = 2 };
	const struct evr_region *region = offer->region;
	int carrier_fd;
	int error = evri_os_liveness_pack(region->fd, &carrier_fd);

	if (error < 0)
		return evri_fail(error,
				 "the listener cannot open the region's file anew");
	if (with_bells)
		error = evri_os_event_open(&pending->bell_fd);
	if (with_bells && error == 0)
		error = evri_os_event_open(&pending->own_fd);
	memcpy(frame.id, region->shared->id, sizeof(frame.id));
	strcpy(frame.name, offer->name);
	frame.flags = hello->flags & EVRI_MEET_STAND_BY;
	message.fds[0] = region->fd;
	message.fds[1] = carrier_fd;
	if (with_bells) {
		frame.flags |= EVRI_MEET_WITH_BELLS;
		message.fds[2] = pending->bell_fd;
		message.fds[3] = pending->own_fd;
		message.fds_count = 4;
	}
	evri_meet_encode(&frame, &message);
	if (error == 0)
		error = evri_os_message_send(pending->fd, &message);
	evri_os_fd_close(carrier_fd);
	if (error < 0 && error != -EPIPE)
		return evri_fail(error, "the region could not be sent: %s",
				 strerror(-error));
	return error;
}

/* From @pending's hands into a slot of those who stand by, if there is one; and says so.
 * The pending one is done then. */
static int welcome(struct evr_listener *listener, struct evri_meet_pending *pending)
{
	struct evri_meet_frame frame = evri_meet_frame(EVRI_MEET_WELCOME);
	struct evri_os_message message = { 0 };
	struct evri_meet_standby *standby = NULL;
	int error;

	for (uint32_t i = 0; i < listener->standbys_count && !standby; i++) {
		if (listener->standbys[i].fd >= 0)
			continue;
		standby = &listener->standbys[i];
		frame.flags = EVRI_MEET_STAND_BY;
		frame.number = i;
	}
	evri_meet_encode(&frame, &message);
	error = evri_os_message_send(pending->fd, &message);
	if (error < 0 || !standby)
		return error;
	evri_os_poller_remove(listener->poller_fd, pending->fd);
	error = evri_os_poller_add(listener->poller_fd, pending->fd,
				   EVRI_MEET_KEY_STANDBY + frame.number);
	/* Then it is closed, and he asks again. */
	if (error < 0)
		return error;
	standby->fd = pending->fd;
	standby->offer = pending->offer;
	pending->fd = -1;
	return 0;
}

/* One who was here before, under another listener. */
static int take_back(struct evr_listener *listener, struct evri_meet_pending *pending,
		     const struct evri_meet_offer *offer,
		     const struct evri_meet_frame *hello)
{
	const struct evr_region_shared *region = offer->region->shared;
	int error;

	if (memcmp(hello->id, region->id, sizeof(region->id)) != 0)
		return evri_fail(-ENXIO, "another region is offered as '%s' by now",
				 hello->name);
	pending->offer = (uint32_t)(offer - listener->offers);
	error = welcome(listener, pending);
	if (error == 0)
		evri_meet_pending_drop(listener, pending);
	return error < 0 ? -EPIPE : 0;
}

static int answer_hello(struct evr_listener *listener, struct evri_meet_pending *pending,
			const struct evri_os_message *message)
{
	const struct evri_meet_offer *offer;
	struct evri_meet_frame hello;
	int error = evri_meet_decode(message, EVRI_MEET_HELLO, &hello);

	if (error < 0)
		return error;
	offer = evri_meet_offer_find(listener, hello.name);
	if (!offer)
		return evri_fail(-ENXIO, "no region is offered as '%s'", hello.name);
	if (hello.flags & EVRI_MEET_MEMBER)
		return take_back(listener, pending, offer, &hello);
	error = check_versions(&hello, offer->region->shared);
	if (error == 0)
		error = hand_over(pending, offer, &hello);
	if (error < 0)
		return error;
	pending->api_version = hello.api_version;
	pending->stands_by = hello.flags & EVRI_MEET_STAND_BY;
	pending->offer = (uint32_t)(offer - listener->offers);
	pending->state = EVRI_MEET_WANT_ATTACHED;
	return 0;
}

static int take_attached(struct evr_listener *listener, struct evri_meet_pending *pending,
			 const struct evri_os_message *message, struct evr_peer *ret_peer)
{
	const struct evri_meet_offer *offer = &listener->offers[pending->offer];
	struct evri_meet_frame attached;
	struct evr_peer peer = { 0 };
	int error = evri_meet_decode(message, EVRI_MEET_ATTACHED, &attached);

	if (error < 0)
		return error;
	if (attached.status < 0)
		return evri_fail(attached.status, "it could not attach: %s",
				 attached.reason);
	peer.who = pending->who;
	peer.number = attached.number;
	peer.api_version = pending->api_version;
	peer.bell_fd = pending->bell_fd;
	peer.own_fd = pending->own_fd;
	peer.region = offer->region;
	memcpy(peer.name, offer->name, sizeof(peer.name));
	if (pending->stands_by) {
		error = welcome(listener, pending);
		/* He does not count himself as one of us without it. */
		if (error < 0)
			return -EPIPE;
	}
	*ret_peer = peer;
	pending->bell_fd = -1;
	pending->own_fd = -1;
	evri_meet_pending_drop(listener, pending);
	return 1;
}

/* Goes on with one client. 1: it is in. */
static int advance(struct evr_listener *listener, struct evri_meet_pending *pending,
		   struct evr_peer *ret_peer)
{
	struct evri_os_message message = { .bytes_max = EVRI_OS_MESSAGE_BYTES_MAX };
	int error = evri_os_message_receive_plain(pending->fd, &message);

	if (error == -EAGAIN)
		return 0;
	if (error == -EPROTO)
		evri_fail_detail("a message that is too long, or with descriptors");
	if (error == 0)
		error = pending->state == EVRI_MEET_WANT_HELLO ?
				answer_hello(listener, pending, &message) :
				take_attached(listener, pending, &message, ret_peer);
	if (error == -EPIPE)
		evri_meet_pending_drop(listener, pending);
	else if (error < 0)
		refuse_pending(listener, pending, error);
	return error > 0;
}

/* Who stands by says nothing more: whatever comes is the end. */
static void hear_standby(struct evr_listener *listener, struct evri_meet_standby *standby)
{
	struct evri_os_message message = { .bytes_max = EVRI_OS_MESSAGE_BYTES_MAX };

	if (standby->fd >= 0 &&
	    evri_os_message_receive_plain(standby->fd, &message) != -EAGAIN)
		evri_meet_standby_drop(listener, standby);
}

/* What the poller named. 1: a client is in. */
static int step(struct evr_listener *listener, uint64_t key, struct evr_peer *ret_peer)
{
	uint64_t standby = key - EVRI_MEET_KEY_STANDBY;

	if (key == EVRI_MEET_KEY_STOP)
		return -ECANCELED;
	if (key == EVRI_MEET_KEY_LISTEN)
		return admit(listener);
	if (key == EVRI_MEET_KEY_TIMER)
		expire(listener);
	else if (key >= EVRI_MEET_KEY_STANDBY && standby < listener->standbys_count)
		hear_standby(listener, &listener->standbys[standby]);
	else if (key < listener->pendings_count &&
		 listener->pendings[key].state != EVRI_MEET_FREE)
		return advance(listener, &listener->pendings[key], ret_peer);
	return 0;
}

int evri_meet_accept(struct evr_listener *listener, uint64_t deadline_ns,
		     struct evr_peer *ret_peer)
{
	for (int steps = 0;; steps++) {
		uint64_t key;
		int result = evri_os_poller_wait(listener->poller_fd, deadline_ns, &key);

		if (result < 0)
			return result;
		pthread_mutex_lock(&listener->lock);
		result = step(listener, key, ret_peer);
		pthread_mutex_unlock(&listener->lock);
		if (result != 0)
			return result < 0 ? result : 0;
		if (steps >= STEPS_WITHOUT_WAITING && evri_os_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
	}
}

int evr_accept(struct evr_listener *listener, uint64_t deadline_ns,
	       struct evr_peer *ret_peer)
{
	if (listener->pid != evri_os_pid())
		return evri_fail(-EINVAL,
				 "the listener was made by process %" PRId64
				 ": listen anew in the child",
				 listener->pid);
	if (listener->stop_fd >= 0)
		return evri_fail(-EINVAL, "the listener has a thread that accepts");
	return evri_meet_accept(listener, deadline_ns, ret_peer);
}

/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* meet_listen.c - making and ending listeners, and what they offer. */

#include <stdlib.h>
#include <string.h>

#include "meet_internal.h"
#include "options.h"

#define MODE_DEFAULT 0600
#define BACKLOG_DEFAULT 128
#define PENDING_DEFAULT 64
#define PENDING_MAX 4096
#define STANDBYS_DEFAULT 64
#define STANDBYS_MAX 4096

static int check_options(const struct evr_listen_options *options,
			 struct evr_listen_options *ret)
{
	struct evr_listen_options known = { 0 };
	int error = evri_options_take(options, offsetof(struct evr_listen_options, mode),
				      &known, sizeof(known), "listen");

	if (error < 0)
		return error;
	if (!known.address == !known.fd || known.fd < 0 ||
	    (known.address && !known.address[0]))
		return evri_fail(-EINVAL, "listen options: an address or an inherited "
					  "descriptor, one of the two");
	if (known.mode > 0777)
		return evri_fail(-EINVAL, "listen options: mode %#o: at most 0777",
				 known.mode);
	if (known.pending > PENDING_MAX)
		return evri_fail(-EINVAL, "listen options: pending %u: at most %u",
				 known.pending, PENDING_MAX);
	if (known.standbys > STANDBYS_MAX)
		return evri_fail(-EINVAL, "listen options: standbys %u: at most %u",
				 known.standbys, STANDBYS_MAX);
	if (known.mode == 0)
		known.mode = MODE_DEFAULT;
	if (known.backlog == 0)
		known.backlog = BACKLOG_DEFAULT;
	if (known.pending == 0)
		known.pending = PENDING_DEFAULT;
	if (known.standbys == 0)
		known.standbys = STANDBYS_DEFAULT;
	*ret = known;
	return 0;
}

static int take_place(const struct evr_listen_options *options,
		      struct evri_meet_place *ret)
{
	struct evri_meet_place_options place = {
		.address = options->address,
		.mode = options->mode,
		.gid = options->has_gid ? options->gid : UINT32_MAX,
		.backlog = options->backlog,
	};
	int fd;
	int error;

	if (options->address)
		return evri_meet_place_take(&place, ret);
	error = evri_os_socket_inherit(options->fd, options->backlog, &fd);
	if (error == -EPROTOTYPE)
		return evri_fail(
			error,
			"descriptor %d is no listening Unix socket for sequenced "
			"packets (in a socket unit: ListenSequentialPacket=)",
			options->fd);
	if (error < 0)
		return evri_fail(error, "descriptor %d: %s", options->fd,
				 strerror(-error));
	*ret = (struct evri_meet_place){ .socket_fd = fd, .directory_fd = -1 };
	return 0;
}

static void close_and_forget(int *fd)
{
	evri_os_fd_close(*fd);
	*fd = -1;
}

static void free_listener(struct evr_listener *listener)
{
	evri_meet_policy_free(&listener->policy);
	close_and_forget(&listener->stop_fd);
	close_and_forget(&listener->timer_fd);
	close_and_forget(&listener->poller_fd);
	pthread_mutex_destroy(&listener->lock);
	free(listener->pendings);
	free(listener->standbys);
	free(listener->offers);
	free(listener);
}

int evri_meet_lock_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attributes;
	int error = -pthread_mutexattr_init(&attributes);

	if (error < 0)
		return error;
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	error = -pthread_mutex_init(lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
	return error;
}

static void close_all(struct evr_listener *listener, bool unlink)
{
	evri_meet_place_leave(&listener->place, unlink);
	listener->place.socket_fd = -1;
	listener->place.directory_fd = -1;
	for (uint32_t i = 0; i < listener->pendings_count; i++)
		evri_meet_pending_drop(listener, &listener->pendings[i]);
	for (uint32_t i = 0; i < listener->standbys_count; i++)
		evri_meet_standby_drop(listener, &listener->standbys[i]);
	close_and_forget(&listener->stop_fd);
	close_and_forget(&listener->timer_fd);
	close_and_forget(&listener->poller_fd);
}

/* All but the place, which is taken last: from then on others connect. */
static int make_listener(const struct evr_listen_options *options,
			 struct evr_listener **ret)
{
	struct evr_listener *listener = calloc(1, sizeof(*listener));
	int error = listener ? 0 : -ENOMEM;

	if (error == 0)
		error = evri_meet_lock_init(&listener->lock);
	if (error < 0) {
		free(listener);
		return error;
	}
	listener->poller_fd = -1;
	listener->timer_fd = -1;
	listener->stop_fd = -1;
	listener->pid = evri_os_pid();
	listener->refused = options->refused;
	listener->context = options->context;
	listener->pendings_count = options->pending;
	listener->pendings = calloc(options->pending, sizeof(*listener->pendings));
	listener->standbys_count = options->standbys;
	listener->standbys = calloc(options->standbys, sizeof(*listener->standbys));
	if (!listener->pendings || !listener->standbys)
		error = -ENOMEM;
	for (uint32_t i = 0; error == 0 && i < options->standbys; i++)
		listener->standbys[i].fd = -1;
	if (error == 0)
		error = evri_meet_policy_copy(options->policy, false, &listener->policy);
	if (error == 0)
		error = evri_os_poller_open(&listener->poller_fd);
	if (error == 0)
		error = evri_os_timer_open(&listener->timer_fd);
	if (error == 0)
		error = evri_os_poller_add(listener->poller_fd, listener->timer_fd,
					   EVRI_MEET_KEY_TIMER);
	if (error < 0)
		free_listener(listener);
	else
		*ret = listener;
	return error;
}

int evr_listen(const struct evr_listen_options *user_options,
	       struct evr_listener **ret_listener)
{
	struct evr_listen_options options;
	struct evr_listener *listener;
	int error = check_options(user_options, &options);

	if (error == 0)
		error = make_listener(&options, &listener);
	if (error < 0)
		return error;
	error = take_place(&options, &listener->place);
	if (error < 0) {
		free_listener(listener);
		return error;
	}
	error = evri_os_poller_add(listener->poller_fd, listener->place.socket_fd,
				   EVRI_MEET_KEY_LISTEN);
	if (error < 0) {
		evri_meet_place_leave(&listener->place, true);
		free_listener(listener);
		return error;
	}
	*ret_listener = listener;
	return 0;
}

struct evr_listener *evr_listener_close(struct evr_listener *listener)
{
	if (!listener)
		return NULL;
	if (listener->pid != evri_os_pid()) {
		evri_meet_listener_abandon(listener);
	} else {
		evri_meet_serve_stop(listener);
		/* A fork finds all of it open, or nothing. */
		pthread_mutex_lock(&listener->lock);
		close_all(listener, true);
		pthread_mutex_unlock(&listener->lock);
	}
	if (listener->watches_forks)
		evri_os_fork_forget(&listener->forked);
	free_listener(listener);
	return NULL;
}

void evri_meet_listener_abandon(struct evr_listener *listener)
{
	/* It was held by a thread that is not in this process. */
	(void)evri_meet_lock_init(&listener->lock);
	close_all(listener, false);
}

/* ---- what is offered ---- */

struct evri_meet_offer *evri_meet_offer_find(struct evr_listener *listener,
					     const char *name)
{
	for (uint32_t i = 0; i < listener->offers_count; i++)
		if (listener->offers[i].region &&
		    strcmp(listener->offers[i].name, name) == 0)
			return &listener->offers[i];
	return NULL;
}

static struct evri_meet_offer *free_offer(struct evr_listener *listener)
{
	struct evri_meet_offer *more;

	for (uint32_t i = 0; i < listener->offers_count; i++)
		if (!listener->offers[i].region)
			return &listener->offers[i];
	more = realloc(listener->offers, (listener->offers_count + 1) * sizeof(*more));
	if (!more)
		return NULL;
	listener->offers = more;
	return &more[listener->offers_count++];
}

static int put_offer(struct evr_listener *listener, struct evr_region *region,
		     const char *name, bool with_bells)
{
	struct evri_meet_offer *offer;

	if (evri_meet_offer_find(listener, name))
		return evri_fail(-EEXIST, "a region is offered as '%s' already", name);
	offer = free_offer(listener);
	if (!offer)
		return -ENOMEM;
	*offer = (struct evri_meet_offer){ .region = region, .with_bells = with_bells };
	strcpy(offer->name, name);
	return 0;
}

static int add_offer(struct evr_listener *listener, struct evr_region *region,
		     const char *name, bool with_bells)
{
	int carrier_fd;
	int error;

	if (!listener || !region || !name || strlen(name) >= EVR_NAME_BYTES)
		return evri_fail(-EINVAL,
				 "a listener offers an attached region under a name of "
				 "at most %d bytes",
				 EVR_NAME_BYTES - 1);
	/* What each client will need is tried here, where somebody looks at errors. */
	error = evri_os_liveness_pack(evr_region_fd(region), &carrier_fd);
	if (error < 0)
		return evri_fail(error, "the region's file cannot be opened anew: %s",
				 error == -ENOENT ? "/proc is not mounted" :
						    strerror(-error));
	evri_os_fd_close(carrier_fd);
	pthread_mutex_lock(&listener->lock);
	error = put_offer(listener, region, name, with_bells);
	pthread_mutex_unlock(&listener->lock);
	return error;
}

int evr_listener_add(struct evr_listener *listener, struct evr_region *region,
		     const char *name)
{
	return add_offer(listener, region, name, false);
}

int evr_listener_add_with_bells(struct evr_listener *listener, struct evr_region *region,
				const char *name)
{
	return add_offer(listener, region, name, true);
}

static int remove_offer(struct evr_listener *listener, const char *name)
{
	struct evri_meet_offer *offer = evri_meet_offer_find(listener, name);
	uint32_t index;

	if (!offer)
		return evri_fail(-ENXIO, "no region is offered as '%s'", name);
	index = (uint32_t)(offer - listener->offers);
	for (uint32_t i = 0; i < listener->pendings_count; i++)
		if (listener->pendings[i].state == EVRI_MEET_WANT_ATTACHED &&
		    listener->pendings[i].offer == index)
			evri_meet_pending_drop(listener, &listener->pendings[i]);
	for (uint32_t i = 0; i < listener->standbys_count; i++)
		if (listener->standbys[i].offer == index)
			evri_meet_standby_drop(listener, &listener->standbys[i]);
	offer->region = NULL;
	return 0;
}

int evr_listener_remove(struct evr_listener *listener, const char *name)
{
	int error;

	pthread_mutex_lock(&listener->lock);
	error = remove_offer(listener, name);
	pthread_mutex_unlock(&listener->lock);
	return error;
}

int evr_listener_fd(const struct evr_listener *listener)
{
	return listener->poller_fd;
}

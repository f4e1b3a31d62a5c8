/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * meet_stand.c - what a member of a name does all its life: serve, or wait for the end of
 * who serves.
 *
 * One thread. It waits on a connection to who serves, whose end the kernel tells at once;
 * then it asks who serves now, and takes the place if nobody does. Of those who try at
 * once one succeeds (meet_place.c), and the others find him when they ask again. Who is
 * not kept on a connection asks from time to time.
 */

#include <string.h>

#include "meet_named.h"

enum { KEY_STOP, KEY_CONNECTION };

#define MS		      UINT64_C(1000000)
#define LOOK_AGAIN_NS	      (500 * MS)
#define SHORT_OF_SOMETHING_NS (100 * MS)
#define PAUSE_MS_MAX	      16
#define RANK_NS		      (MS / 2) /* they go one after the other */
#define RANKS		      32

uint64_t evri_named_pause_ns(uint32_t tries)
{
	uint64_t limit_ns = (tries > 4 ? PAUSE_MS_MAX : UINT64_C(1) << tries) * MS;
	uint64_t random = 0;

	(void)!evri_os_random(&random, sizeof(random));
	return limit_ns / 2 + random % (limit_ns / 2);
}

/* ---- forks ---- */

static struct evr_named *named_of(struct evri_os_forked *forked)
{
	return (struct evr_named *)((char *)forked - offsetof(struct evr_named, forked));
}

static void before_fork(struct evri_os_forked *forked)
{
	struct evr_named *named = named_of(forked);

	pthread_mutex_lock(&named->lock);
	if (named->listener)
		pthread_mutex_lock(&named->listener->lock);
}

static void after_fork(struct evri_os_forked *forked)
{
	struct evr_named *named = named_of(forked);

	if (named->listener)
		pthread_mutex_unlock(&named->listener->lock);
	pthread_mutex_unlock(&named->lock);
}

static void close_rest(struct evr_named *named)
{
	int *fds[] = {&named->connection_fd, &named->poller_fd, &named->stop_fd,
		      &named->directory_fd};

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		evri_os_fd_close(*fds[i]);
		*fds[i] = -1;
	}
}

static void in_child(struct evri_os_forked *forked)
{
	struct evr_named *named = named_of(forked);

	if (named->listener)
		evri_meet_listener_abandon(named->listener);
	close_rest(named);
	/* It was locked by a thread of another process. */
	(void)evri_meet_lock_init(&named->lock);
}

int evri_named_watch_forks(struct evr_named *named)
{
	named->forked = (struct evri_os_forked){
		.before = before_fork, .after = after_fork, .in_child = in_child};
	return evri_os_fork_watch(&named->forked);
}

/* ---- the place ---- */

struct evr_connect_options evri_named_connect_options(const struct evr_named *named)
{
	return (struct evr_connect_options){.size = sizeof(struct evr_connect_options),
					    .address = named->address,
					    .name = "",
					    .policy = &named->policy};
}

int evri_named_listen(struct evr_named *named)
{
	struct evr_listen_options options = {.size = sizeof(options),
					     .address = named->address,
					     .mode = named->mode,
					     .has_gid = named->has_gid,
					     .gid = named->gid,
					     .policy = &named->policy,
					     .standbys = named->standbys};
	int error;

	/* No child is made while it has descriptors that nobody could close. */
	pthread_mutex_lock(&named->lock);
	error = evr_listen(&options, &named->listener);
	pthread_mutex_unlock(&named->lock);
	return error;
}

void evri_named_give_up_place(struct evr_named *named)
{
	pthread_mutex_lock(&named->lock);
	named->listener = evr_listener_close(named->listener);
	pthread_mutex_unlock(&named->lock);
}

/* ---- the thread ---- */

/* True: stop. */
static bool pause_for(const struct evr_named *named, uint64_t duration_ns)
{
	return evri_os_wait_readable(named->stop_fd, evri_os_now_ns() + duration_ns) !=
	       -ETIMEDOUT;
}

static void close_connection(struct evr_named *named)
{
	pthread_mutex_lock(&named->lock);
	evri_os_poller_remove(named->poller_fd, named->connection_fd);
	evri_os_fd_close(named->connection_fd);
	named->connection_fd = -1;
	pthread_mutex_unlock(&named->lock);
}

/* Waits until there is something on the connection. True: stop. */
static bool wait_on_connection(struct evr_named *named)
{
	for (;;) {
		uint64_t key;
		int error = evri_os_poller_wait(named->poller_fd, EVR_NEVER, &key);

		if (error == 0)
			return key == KEY_STOP;
		if (error != -EINTR)
			return true;
	}
}

/* Asks who serves now. 0: the connection says when that ends, if there is one. */
static int return_to_server(struct evr_named *named, bool *ret_stop)
{
	struct evr_connect_options options = evri_named_connect_options(named);
	int64_t rank = -1;
	int error;

	pthread_mutex_lock(&named->lock);
	error = evri_meet_return(&options, named->region, &named->connection_fd);
	if (error == 0)
		error = evri_os_poller_add(named->poller_fd, named->connection_fd,
					   KEY_CONNECTION);
	pthread_mutex_unlock(&named->lock);
	/* A server that is stopped, or not ready yet, is waited for. */
	if (error == 0)
		*ret_stop = wait_on_connection(named);
	if (error == 0 && !*ret_stop)
		error = evri_meet_returned(named->connection_fd, named->address, &rank);
	if (error == 0 && rank >= 0)
		named->rank = (uint32_t)rank;
	else if (named->connection_fd >= 0)
		close_connection(named);
	return error;
}

static int take_over(struct evr_named *named)
{
	int error = evri_named_listen(named);

	if (error < 0)
		return error;
	error = evri_os_poller_add(named->listener->poller_fd, named->stop_fd,
				   EVRI_MEET_KEY_STOP);
	if (error == 0)
		error = evr_listener_add(named->listener, named->region, "");
	if (error < 0)
		evri_named_give_up_place(named);
	return error;
}

/* Can it never be different next time? Then nobody should wait for us. */
static bool is_for_good(int error)
{
	switch (error) {
	case -EACCES: /* no right to listen, or to who listens */
	case -EPERM:
	case -EROFS:
	case -ELOOP: /* something else is at the path */
	case -EEXIST:
	case -EPROTO:
	case -ENXIO:  /* another region */
	case -ENOENT: /* the directory is gone, or /proc */
	case -ENOTDIR:
	case -EINVAL:
		return true;
	default:
		return false;
	}
}

/* The connection has ended, or there never was one. True: that was all. */
static bool find_place_in_life(struct evr_named *named, uint32_t tries)
{
	bool stop = false;
	int error = return_to_server(named, &stop);

	if (stop)
		return true;
	if (error == -ECONNREFUSED || error == -ENOENT)
		error = take_over(named);
	if (error == 0)
		return !named->listener && named->connection_fd < 0 &&
		       pause_for(named, LOOK_AGAIN_NS);
	if (is_for_good(error)) {
		evri_os_place_unlock(named->directory_fd, named->byte);
		return true;
	}
	if (error == -EADDRINUSE || error == -EPIPE || error == -EBUSY)
		return pause_for(named, evri_named_pause_ns(tries));
	return pause_for(named, SHORT_OF_SOMETHING_NS);
}

static void *stand(void *argument)
{
	struct evr_named *named = argument;
	uint32_t tries = 0;

	for (;;) {
		if (named->listener) {
			(void)!evri_meet_serve(named->listener, named->stop_fd);
			return NULL;
		}
		if (named->connection_fd >= 0) {
			if (wait_on_connection(named))
				return NULL;
			close_connection(named);
			tries = 0;
			if (pause_for(named, named->rank % RANKS * RANK_NS))
				return NULL;
		}
		if (find_place_in_life(named, tries++))
			return NULL;
	}
}

int evri_named_stand(struct evr_named *named)
{
	int error;

	pthread_mutex_lock(&named->lock);
	error = evri_os_event_open(&named->stop_fd);
	if (error == 0)
		error = evri_os_poller_open(&named->poller_fd);
	pthread_mutex_unlock(&named->lock);
	if (error == 0)
		error = evri_os_poller_add(named->poller_fd, named->stop_fd, KEY_STOP);
	if (error == 0 && named->connection_fd >= 0)
		error = evri_os_poller_add(named->poller_fd, named->connection_fd,
					   KEY_CONNECTION);
	if (error == 0 && named->listener)
		error = evri_os_poller_add(named->listener->poller_fd, named->stop_fd,
					   EVRI_MEET_KEY_STOP);
	if (error == 0)
		error = evri_os_thread_start(stand, named, &named->thread);
	if (error < 0)
		return evri_fail(error, "%s: no thread that serves it: %s",
				 named->address, strerror(-error));
	named->has_thread = true;
	return 0;
}

void evri_named_stand_down(struct evr_named *named)
{
	if (named->has_thread && named->pid == evri_os_pid()) {
		(void)!evri_os_write(named->stop_fd, &(uint64_t){1}, sizeof(uint64_t));
		pthread_join(named->thread, NULL);
	}
	evri_named_give_up_place(named);
}

void evri_named_let_go(struct evr_named *named)
{
	pthread_mutex_lock(&named->lock);
	close_rest(named);
	pthread_mutex_unlock(&named->lock);
}

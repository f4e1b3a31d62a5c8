/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* meet_serve.c - a thread that accepts, so that the program need not. */

#include "meet_internal.h"

#define NO_DESCRIPTORS_PAUSE_NS UINT64_C(100000000)

static void tell(struct evr_listener *listener, const struct evr_peer *peer)
{
	if (listener->attached) {
		listener->attached(listener->attached_context, peer);
		return;
	}
	evri_os_fd_close(peer->bell_fd);
	evri_os_fd_close(peer->own_fd);
}

int evri_meet_serve(struct evr_listener *listener, int stop_fd)
{
	int error = 0;

	while (error != -ECANCELED && error != -EBADF) {
		struct evr_peer peer;

		error = evri_meet_accept(listener, EVR_NEVER, &peer);
		if (error == 0)
			tell(listener, &peer);
		else if (error != -ECANCELED && error != -EBADF && error != -EINTR &&
			 evri_os_wait_readable(
				 stop_fd, evri_os_now_ns() + NO_DESCRIPTORS_PAUSE_NS) ==
				 0)
			/* What it lacks, others may give back meanwhile. */
			error = -ECANCELED;
	}
	return error;
}

/* ---- evr_listener_serve() ---- */

static struct evr_listener *listener_of(struct evri_os_forked *forked)
{
	return (struct evr_listener *)((char *)forked -
				       offsetof(struct evr_listener, forked));
}

static void before_fork(struct evri_os_forked *forked)
{
	pthread_mutex_lock(&listener_of(forked)->lock);
}

static void after_fork(struct evri_os_forked *forked)
{
	pthread_mutex_unlock(&listener_of(forked)->lock);
}

static void in_child(struct evri_os_forked *forked)
{
	evri_meet_listener_abandon(listener_of(forked));
}

static void *serve(void *argument)
{
	struct evr_listener *listener = argument;

	(void)!evri_meet_serve(listener, listener->stop_fd);
	return NULL;
}

int evr_listener_serve(struct evr_listener *listener,
		       void (*attached)(void *context, const struct evr_peer *peer),
		       void *context)
{
	int stop_fd;
	int error;

	if (listener->pid != evri_os_pid())
		return evri_fail(-EINVAL, "the listener was made by another process");
	if (listener->stop_fd >= 0)
		return evri_fail(-EALREADY, "the listener has a thread already");
	error = evri_os_event_open(&stop_fd);
	if (error < 0)
		return error;
	listener->attached = attached;
	listener->attached_context = context;
	listener->stop_fd = stop_fd;
	listener->forked = (struct evri_os_forked){
		.before = before_fork, .after = after_fork, .in_child = in_child};
	error = evri_os_poller_add(listener->poller_fd, stop_fd, EVRI_MEET_KEY_STOP);
	if (error == 0)
		error = evri_os_fork_watch(&listener->forked);
	listener->watches_forks = error == 0;
	if (error == 0)
		error = evri_os_thread_start(serve, listener, &listener->thread);
	if (error < 0) {
		if (listener->watches_forks)
			evri_os_fork_forget(&listener->forked);
		listener->watches_forks = false;
		listener->stop_fd = -1;
		evri_os_fd_close(stop_fd);
		return evri_fail(error, "no thread that accepts");
	}
	return 0;
}

void evri_meet_serve_stop(struct evr_listener *listener)
{
	if (listener->stop_fd < 0 || listener->pid != evri_os_pid())
		return;
	(void)!evri_os_write(listener->stop_fd, &(uint64_t){1}, sizeof(uint64_t));
	pthread_join(listener->thread, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERINGI_MEET_NAMED_H
#define EVERINGI_MEET_NAMED_H

/* meet_named.h - what meet_named.c and meet_stand.c share. */

#include <evering/named.h>

#include "meet_internal.h"

struct evr_named {
	struct evr_region *region;
	bool created;
	int64_t pid;
	char address[108];
	uint64_t byte; /* of the directory, that members hold */
	struct evri_meet_policy lists;
	struct evr_meet_policy policy; /* points into them */
	uint32_t mode;
	bool has_gid;
	uint32_t gid;
	uint32_t standbys;
	uint32_t rank; /* among those who stand by: who is first */
	bool has_thread;
	pthread_t thread;
	struct evri_os_forked forked;
	/* Of what follows, between opening and writing down: a child made by fork() finds
	 * and closes it. The thread's own, or nobody's. */
	pthread_mutex_t lock;
	int directory_fd;
	int connection_fd; /* to who serves, when it is not we */
	int poller_fd;
	int stop_fd;
	struct evr_listener *listener; /* when we serve */
};

/* ---- meet_stand.c ---- */

int evri_named_watch_forks(struct evr_named *named);
struct evr_connect_options evri_named_connect_options(const struct evr_named *named);
/* Takes the place; nothing is offered yet. */
int evri_named_listen(struct evr_named *named);
void evri_named_give_up_place(struct evr_named *named);
/* Between two tries: short at first, and not the same for all. */
uint64_t evri_named_pause_ns(uint32_t tries);
/* The thread: begins, and ends together with what it serves. */
int evri_named_stand(struct evr_named *named);
void evri_named_stand_down(struct evr_named *named);
/* Closes the rest, the lock among it. */
void evri_named_let_go(struct evr_named *named);

#endif

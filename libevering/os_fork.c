/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* os_fork.c - what a forked child must not keep. See os.h. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "os.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int install_error;
static struct evri_os_forked *first;

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
	for (struct evri_os_forked *at = first; at; at = at->next)
		at->before(at);
}

static void after_fork(void)
{
	for (struct evri_os_forked *at = first; at; at = at->next)
		at->after(at);
	pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
	for (struct evri_os_forked *at = first; at; at = at->next)
		at->in_child(at);
	pthread_mutex_unlock(&lock);
}

/* Handlers that were installed last wait first. Those whom we wait for may themselves
 * wait for the guard of os_liveness.c, so that one must be asked after us. */
static void install(void)
{
	install_error = evri_os_liveness_install();
	if (install_error == 0)
		install_error = -pthread_atfork(before_fork, after_fork, in_child);
}

int evri_os_fork_watch(struct evri_os_forked *forked)
{
	int error = -pthread_once(&once, install);

	if (error == 0)
		error = install_error;
	if (error < 0)
		return error;
	pthread_mutex_lock(&lock);
	forked->previous = NULL;
	forked->next = first;
	if (first)
		first->previous = forked;
	first = forked;
	pthread_mutex_unlock(&lock);
	return 0;
}

void evri_os_fork_forget(struct evri_os_forked *forked)
{
	pthread_mutex_lock(&lock);
	if (forked->next)
		forked->next->previous = forked->previous;
	if (forked->previous)
		forked->previous->next = forked->next;
	else if (first == forked)
		first = forked->next;
	forked->next = NULL;
	forked->previous = NULL;
	pthread_mutex_unlock(&lock);
}

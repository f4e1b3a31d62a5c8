/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* watch.c - see watch.h. */

#include "watch.h"

#include <evering/janitor.h>
#include <stdlib.h>

#include "answer.h"

/* The kernel marks the word before it lets go of the lock that says "alive": so often,
 * and so long each time, the lock is asked for then. Taking a large process apart lasts
 * longer, and is looked at like one who has no word. */
#define DYING_TRIES 200
#define DYING_PAUSE_NS 100000

struct evri_watch {
	struct evri_answer answer;
	struct evr_region *region;
	pthread_t thread;
	struct evr_atomic_u32 stop;
	struct evri_os_mortal mortal;
};

/* What is known of the others at one moment. */
struct others {
	struct evri_os_waited waited[EVRI_OS_WAITED_MAX];
	uint32_t count;
	bool dying;    /* somebody ends just now */
	bool wordless; /* somebody without a word is ours to look after */
};

/* Gathers the words of all who live and have such a thread. Each word is read once, so
 * what changes afterwards ends the wait. */
static void gather(const struct evr_region *region, struct others *others)
{
	bool followed = false; /* somebody comes behind us who looks after the rest */

	for (uint32_t i = 1; i < region->participants_count; i++) {
		uint32_t at = (region->record + i) % region->participants_count;
		const struct evr_participant_shared *record = &region->participants[at];
		uint32_t state = evr_load_acquire_u64(&record->word) >> 32;
		uint32_t life = evr_load_acquire_u32(&record->life);

		if (state != EVR_PARTICIPANT_ALIVE)
			continue;
		if (life == 0) {
			others->wordless |= !followed;
		} else if (life & EVRI_OS_MORTAL_ENDED) {
			others->dying = true;
		} else {
			followed = true;
			if (others->count == EVRI_OS_WAITED_MAX)
				break;
			others->waited[others->count].word =
				(const uint32_t *)&record->life;
			others->waited[others->count++].expected = life;
		}
	}
}

/* Until when may be slept? */
static uint64_t next_look_ns(const struct evri_watch *watch, const struct others *others)
{
	uint64_t until_ns = watch->answer.retry_ns;
	uint64_t soon_ns;

	if (!others->wordless && !others->dying)
		return until_ns;
	soon_ns = evri_os_now_ns() + EVR_JANITOR_INTERVAL_NS;
	return soon_ns < until_ns ? soon_ns : until_ns;
}

static void watch_others(struct evri_watch *watch)
{
	struct evr_region *region = watch->region;
	uint32_t tries = 0;

	while (!evr_load_acquire_u32(&watch->stop)) {
		struct others others = { .count = 2 };
		int error;

		others.waited[0].word = (const uint32_t *)&watch->stop;
		others.waited[0].expected = 0;
		others.waited[1].word = (const uint32_t *)&region->shared->arrivals;
		/* SYNC region/arrivals (acquire), pairs with evri_participant_arrive().
		 * Relaxed, the record that this count is about could be missed, and its
		 * end with it, until the back-stop. */
		others.waited[1].expected =
			evr_load_acquire_u32(&region->shared->arrivals);
		/* Gathered first: who dies after that ends the wait. */
		gather(region, &others);
		(void)evri_answer(&watch->answer, NULL);
		if (others.dying && tries++ < DYING_TRIES) {
			evri_os_pause(DYING_PAUSE_NS);
			continue;
		}
		if (!others.dying)
			tries = 0;
		error = evri_os_wait_any(others.waited, others.count,
					 next_look_ns(watch, &others));
		/* Only an old kernel, or one that is out of memory, refuses. */
		if (error < 0 && error != -ETIMEDOUT && error != -EINTR)
			return;
	}
}

static void *watch_thread(void *argument)
{
	struct evri_watch *watch = argument;
	struct evr_region *region = watch->region;
	struct evr_participant_shared *mine = &region->participants[region->record];

	if (evri_os_mortal_begin(&watch->mortal, &mine->life) < 0)
		return NULL;
	/* Whoever waits already is to wait for us, too. */
	evri_participant_arrive(region);
	watch_others(watch);
	evri_os_mortal_end(&watch->mortal, &mine->life);
	return NULL;
}

/* ---- start and stop ---- */

static void watch_free(struct evri_watch *watch)
{
	evri_answer_end(&watch->answer);
	free(watch);
}

static struct evri_watch *watch_new(struct evr_region *region)
{
	struct evri_watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	watch->region = region;
	if (evri_answer_begin(&watch->answer, region) == 0 &&
	    evri_os_thread_start(watch_thread, watch, &watch->thread) == 0)
		return watch;
	watch_free(watch);
	return NULL;
}

static void watch_stop(struct evri_watch *watch)
{
	if (!watch)
		return;
	evr_store_release_u32(&watch->stop, 1);
	evri_os_futex_wake((const uint32_t *)&watch->stop, INT32_MAX);
	pthread_join(watch->thread, NULL);
	watch_free(watch);
}

static void leave(struct evr_region *region)
{
	watch_stop(region->watch);
	region->watch = NULL;
	evri_answer_leave(region);
}

void evri_watch_start(struct evr_region *region)
{
	if (EVR_LIKELY(evr_load_relaxed_u32(&region->watch_state) != EVRI_WATCH_NONE))
		return;
	pthread_mutex_lock(&region->map_lock);
	if (evr_load_relaxed_u32(&region->watch_state) == EVRI_WATCH_NONE &&
	    !region->read_only) {
		region->before_leave = leave;
		region->watch = watch_new(region);
		evr_store_relaxed_u32(&region->watch_state, EVRI_WATCH_TRIED);
	}
	pthread_mutex_unlock(&region->map_lock);
}

int evri_watch_forbid(struct evr_region *region)
{
	struct evri_watch *watch = NULL;
	int error = -EBUSY;

	pthread_mutex_lock(&region->map_lock);
	if (evr_load_relaxed_u32(&region->watch_state) != EVRI_WATCH_FORBIDDEN) {
		region->before_leave = leave;
		watch = region->watch;
		region->watch = NULL;
		evr_store_relaxed_u32(&region->watch_state, EVRI_WATCH_FORBIDDEN);
		error = 0;
	}
	pthread_mutex_unlock(&region->map_lock);
	/* Not under the lock: the thread takes it, too. */
	watch_stop(watch);
	return error;
}

void evri_watch_permit(struct evr_region *region)
{
	evr_store_relaxed_u32(&region->watch_state, EVRI_WATCH_NONE);
}

/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* watch.c - see watch.h. */

#include "watch.h"

#include <stdlib.h>

#include "home.h"

/* The kernel marks the word before it lets go of the lock that says "alive": so often,
 * and so long each time, the lock is asked for then. */
#define DYING_TRIES 200
#define DYING_PAUSE_NS 100000

struct evri_watch {
	struct evr_region *region;
	pthread_t thread;
	struct evr_atomic_u32 stop;
	struct evri_os_mortal mortal;
	uint32_t deaths_told; /* of the header's count, those that bells were rung for */
};

/* ---- one look ---- */

static void ring_uring(const struct evri_uring *uring)
{
	evr_doorbell_ring_all(&uring->shared->bell);
	for (uint32_t slot = 0; slot < uring->homes_count; slot++)
		evr_doorbell_ring_all(&evri_home_at(uring, slot)->bell);
}

static void ring_everybody(struct evr_region *region)
{
	struct evri_uring *urings;
	uint32_t count;

	if (evri_urings_find(region, &urings, &count) < 0)
		return;
	for (uint32_t i = 0; i < count; i++)
		ring_uring(&urings[i]);
	free(urings);
}

/* Who died since the last look is told to all sleepers. */
static void tell_deaths(struct evri_watch *watch)
{
	struct evr_region *region = watch->region;
	uint32_t deaths;

	(void)evr_participant_find_dead(region);
	deaths = evr_load_acquire_u32(&region->shared->deaths);
	if (deaths == watch->deaths_told)
		return;
	watch->deaths_told = deaths;
	ring_everybody(region);
}

/* Gathers the words of all who live and have such a thread; true if one of them ends at
 * this moment. Each word is read once, so what changes afterwards ends the wait. */
static bool gather(const struct evri_watch *watch, struct evri_os_waited *waited,
		   uint32_t *count)
{
	const struct evr_region *region = watch->region;
	bool dying = false;

	for (uint32_t i = 1; i < region->participants_count; i++) {
		uint32_t at = (region->record + i) % region->participants_count;
		const struct evr_participant_shared *record = &region->participants[at];
		uint32_t state = evr_load_acquire_u64(&record->word) >> 32;
		uint32_t life = evr_load_acquire_u32(&record->life);

		if (state != EVR_PARTICIPANT_ALIVE || life == 0)
			continue;
		if (life & EVRI_OS_MORTAL_ENDED) {
			dying = true;
		} else if (*count < EVRI_OS_WAITED_MAX) {
			waited[*count].word = (const uint32_t *)&record->life;
			waited[(*count)++].expected = life;
		}
	}
	return dying;
}

static void *watch_all(void *argument)
{
	struct evri_watch *watch = argument;
	struct evr_region *region = watch->region;
	struct evr_participant_shared *mine = &region->participants[region->record];
	uint32_t tries = 0;

	if (evri_os_mortal_begin(&watch->mortal, &mine->life) < 0)
		return NULL;
	/* Whoever waits already is to wait for us, too. */
	evr_fetch_add_acq_rel_u32(&region->shared->arrivals, 1);
	evri_os_futex_wake((const uint32_t *)&region->shared->arrivals, INT32_MAX);

	while (!evr_load_acquire_u32(&watch->stop)) {
		struct evri_os_waited waited[EVRI_OS_WAITED_MAX];
		uint32_t count = 2;
		bool dying;

		waited[0].word = (const uint32_t *)&watch->stop;
		waited[0].expected = 0;
		waited[1].word = (const uint32_t *)&region->shared->arrivals;
		waited[1].expected = evr_load_acquire_u32(&region->shared->arrivals);
		/* Gathered first: who dies after that ends the wait. */
		dying = gather(watch, waited, &count);
		tell_deaths(watch);
		if (dying && tries++ < DYING_TRIES) {
			evri_os_pause(DYING_PAUSE_NS);
			continue;
		}
		tries = 0;
		/* Only an old kernel, or one that is out of memory, refuses. */
		if (evri_os_wait_any(waited, count, EVR_NEVER) < 0)
			break;
	}
	evri_os_mortal_end(&watch->mortal, &mine->life);
	return NULL;
}

/* ---- start and stop ---- */

static void watch_stop(struct evr_region *region)
{
	struct evri_watch *watch = region->watch;

	region->watch = NULL;
	evr_store_release_u32(&watch->stop, 1);
	evri_os_futex_wake((const uint32_t *)&watch->stop, INT32_MAX);
	pthread_join(watch->thread, NULL);
	free(watch);
}

void evri_watch_start(struct evr_region *region)
{
	struct evri_watch *watch;

	if (EVR_LIKELY(evr_load_relaxed_u32(&region->watch_tried)))
		return;
	pthread_mutex_lock(&region->map_lock);
	if (!evr_load_relaxed_u32(&region->watch_tried) && !region->read_only) {
		watch = calloc(1, sizeof(*watch));
		if (watch) {
			watch->region = region;
			if (evri_os_thread_start(watch_all, watch, &watch->thread) == 0) {
				region->watch = watch;
				region->watch_stop = watch_stop;
			} else {
				free(watch);
			}
		}
		evr_store_relaxed_u32(&region->watch_tried, 1);
	}
	pthread_mutex_unlock(&region->map_lock);
}

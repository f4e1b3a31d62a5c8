/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERINGI_WATCH_H
#define EVERINGI_WATCH_H

/*
 * watch.h - being told at once that a peer has died, while everybody sleeps.
 *
 * A process that sleeps in a waiting call has a thread that sleeps with it, for each
 * region, started at the first sleep. It does two things: its own end is a word in the
 * participant's record, which the kernel marks (os_mortal.c); and it waits for the words
 * of all others. Of those who wait for one word the kernel wakes one, who then finds out
 * who is dead, and rings every bell of the region; the sleepers do the rest.
 *
 * If that one is stopped at that very moment, or the kernel is older than 5.16, or a peer
 * never slept and so has no such thread, the doorbells' back-stop answers, after at most
 * EVR_DOORBELL_BACKSTOP_NS.
 */

#include "region_internal.h"

/* Starts the thread of this view, once; cheap when it runs. That it cannot is no error:
 * the back-stop remains. */
void evri_watch_start(struct evr_region *region);

#endif

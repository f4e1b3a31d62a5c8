/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERINGI_WATCH_H
#define EVERINGI_WATCH_H

/*
 * watch.h - a death is answered at once, while everybody sleeps.
 *
 * A process that sleeps in a waiting call has a thread that sleeps with it, for each
 * region, started at the first sleep. It does two things: its own end is a word in the
 * participant's record, which the kernel marks (os_mortal.c); and it waits for the words
 * of all others. Of those who wait for one word the kernel wakes one, who then finds out
 * who is dead, brings back what they held and rings every bell of the region (answer.c).
 *
 * It is a thread for each region, and not one for the process, because the kernel knows
 * one list of words for each thread, and for the whole list one distance between its
 * entries, which are private, and the words, which are in the region.
 *
 * Who never slept has no thread and no word. It is looked after by the one thread whose
 * participant comes before it in the table of records: that thread sleeps for no longer
 * than EVR_JANITOR_INTERVAL_NS, and asks the locks each time.
 *
 * If the one that was woken, or that looks after somebody, is stopped at that very
 * moment, or the kernel is older than 5.16, the doorbells' back-stop answers, after at
 * most EVR_DOORBELL_BACKSTOP_NS.
 */

#include "region_internal.h"

/* Starts the thread of this view, once; cheap when it runs. That it cannot is no error:
 * the back-stop remains. */
void evri_watch_start(struct evr_region *region);

/* From now on there is no thread, until it is permitted again. -EBUSY: it is forbidden
 * already. */
int evri_watch_forbid(struct evr_region *region);
void evri_watch_permit(struct evr_region *region);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_JANITOR_H
#define EVERING_JANITOR_H

/**
 * janitor.h - answering deaths from the application's own event loop.
 *
 * A process that sleeps in a waiting call of channel.h has a thread, started at the first
 * sleep, that notices deaths, brings back what the dead held, and rings everybody. A
 * program that has an event loop and wants no such thread opens a janitor instead:
 *
 *	evr_janitor_open(region, NULL, &janitor);
 *	... poll() for POLLIN on evr_janitor_fd(janitor), among other things, and then:
 *	evr_janitor_step(janitor, NULL);
 *
 * The descriptor is readable when a participant has ended whose process can be seen from
 * here, and every EVR_JANITOR_INTERVAL_NS. Only the region's locks decide who is dead: a
 * participant whose process cannot be seen (another PID namespace, or a PID that a peer
 * made up) is found at the next interval.
 */

#include <evering/recovery.h>

/* So often is looked for the dead that the kernel does not tell of: by a janitor, unless
 * told otherwise; by the thread, only while there are participants that never slept. It
 * cost that thread 1.5 ms of CPU a second (bench/life.c, one such participant). */
#define EVR_JANITOR_INTERVAL_NS UINT64_C(4000000)

/* Shorter ones are refused: they would do little else. */
#define EVR_JANITOR_INTERVAL_MIN_NS UINT64_C(100000)

/** Answers deaths for one view of a region: opaque, from evr_janitor_open(). */
struct evr_janitor;

/**
 * struct evr_janitor_options - zero means the default.
 * @size:        sizeof(struct evr_janitor_options).
 * @interval_ns: how long after a step the next one is due though nobody is known to have
 *               ended; default EVR_JANITOR_INTERVAL_NS, at least
 *               EVR_JANITOR_INTERVAL_MIN_NS. EVR_NEVER: not at all, so newcomers, and
 *               participants that cannot be seen from here, wait for a step that has
 *               another reason.
 * @flags:       0.
 */
struct evr_janitor_options {
	size_t size;
	uint64_t interval_ns;
	uint32_t flags;
	uint32_t reserved;
};

EVR_BEGIN_DECLS

/**
 * evr_janitor_open() - takes over from the thread that answers deaths.
 * @region:  attached, not for reading only; must stay so until the janitor is closed.
 * @options: or NULL for defaults.
 * @ret:     end it with evr_janitor_close().
 *
 * If this view's thread runs, it is stopped, which lasts until a recovery that it may be
 * in the middle of is done. Until evr_janitor_close() no new one starts, whoever sleeps.
 * Views of the same region in other processes, or of other regions, are not concerned.
 *
 * Takes two descriptors, and one for each participant; where those run out, the interval
 * alone is left.
 *
 * Threads: any. Signals: not from handlers. Killed or stopped inside: nobody notices.
 *
 * Return: 0, or
 * -EBUSY   this view has a janitor;
 * -EROFS   the region is attached for reading: it can answer nothing;
 * -EINVAL  an option is out of range, or the region was attached by another process;
 * -E2BIG   the options are from a newer header and use a field unknown here;
 * -EMFILE, -ENFILE, -ENOMEM.
 */
EVR_API int evr_janitor_open(struct evr_region *region,
			     const struct evr_janitor_options *options,
			     struct evr_janitor **ret) EVR_NODISCARD;

/**
 * evr_janitor_fd() - a descriptor that is readable when a step is due.
 * @janitor: of this process.
 *
 * For poll(), epoll and event loops; it belongs to the janitor. It is readable from the
 * beginning, since the participants that are there are learnt in a step, and stays so
 * until evr_janitor_step(). Threads: any.
 */
EVR_API int evr_janitor_fd(const struct evr_janitor *janitor);

/**
 * evr_janitor_step() - looks for the dead, and answers.
 * @janitor: of this process.
 * @stats:   what recovery did in this step, all zero if there was nothing to do; or NULL.
 *
 * Asks the kernel about every participant (half a microsecond each). If somebody has
 * died, or left without closing what he had, what he held comes back, in one pass of
 * recovery as evr_recover() makes it, and every doorbell of the region is rung. What must
 * be postponed, because a stopped participant may be taking it, is tried again by a step
 * half a second later. An agent is taken for the pass and closed behind it; in a region
 * without a pool there is nothing to bring back, and the bells are rung.
 *
 * It may be called at any time, and never waits.
 *
 * Threads: one at a time per janitor. Signals: not from handlers. Killed or stopped
 * inside: as in evr_recover(); nothing is lost, others may do the same work meanwhile.
 *
 * Return: how many participants it found dead that it had not found before; 0 also when
 * others were faster. Or
 * -EMFILE   every agent of the region is in use; sleepers were told, and what the dead
 *           held is tried again half a second later;
 * -ENOMEM   the same;
 * -EUCLEAN  the region contradicts itself, the same;
 * -EINVAL   the janitor was opened by another process.
 */
EVR_API int evr_janitor_step(struct evr_janitor *janitor,
			     struct evr_recovery_stats *stats);

/**
 * evr_janitor_close() - gives the work back.
 * @janitor: or NULL, which does nothing.
 *
 * The view may have its thread again: the next waiting call that sleeps starts it. In a
 * child made by fork() it only closes the child's descriptors.
 *
 * Threads: one caller, and nobody else uses @janitor. Call it before evr_region_detach().
 *
 * Return: NULL.
 */
EVR_API struct evr_janitor *evr_janitor_close(struct evr_janitor *janitor);

EVR_END_DECLS
#endif

/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_RECOVERY_H
#define EVERING_RECOVERY_H

/**
 * recovery.h - what the dead held comes back.
 *
 * Recovery reads off the words what a dead participant held, and claims each block by one
 * compare-and-swap on its ownership word. It runs while everybody works, any number may
 * run it at once, and one that is itself stopped or killed leaves an ordinary owner
 * behind, whom the next one recovers.
 *
 *	held by the dead                       what happens to it
 *	idle, in a magazine, half allocated    free
 *	a request it was working on            goes home with -EOWNERDEAD, intact
 *	a response it had written              goes home in its stead
 *	a request or response of a dead home   free
 *	in a ring                              stays there; whoever pops it has it
 *	its homes                              closed, drained, free for others
 *
 * A block that a *stopped* participant may be taking at this moment is left for a later
 * pass (postponed): it is in that one's hands, and nobody waits for it.
 */

#include <evering/home.h>

/** struct evr_recovery_stats - what one call did. */
struct evr_recovery_stats {
	uint32_t dead;          /* participants found dead, or found marked dead */
	uint32_t finished;      /* of these: everything is back, the record is free */
	uint32_t freed;         /* blocks freed */
	uint32_t returned;      /* requests sent home with -EOWNERDEAD */
	uint32_t posted;        /* responses sent home in the dead one's stead */
	uint32_t orphaned;      /* blocks left in a ring for whoever pops them */
	uint32_t postponed;     /* blocks left for a later pass */
	uint32_t undeliverable; /* answers whose home had no room: freed */
	uint64_t scanned;       /* blocks and slots looked at */
	uint64_t elapsed_ns;
};

EVR_BEGIN_DECLS

/**
 * evr_recover() - finds the dead and brings back what they held.
 * @agent: the calling thread's: what is claimed passes through its hands.
 * @stats: filled in; or NULL.
 *
 * Asks the kernel about every participant, then makes one pass for each dead one. Cost:
 * about half a microsecond a participant when nobody is dead; for a dead one also a look
 * at every block's word and every ring's slot.
 *
 * Threads: any number at once, each with its own agent. Signals: not from handlers.
 * Stopped or killed inside: others may do the same work meanwhile; nothing is lost.
 *
 * Waiting calls of channel.h do this by themselves when they meet a death, and so does a
 * thread beside a process that sleeps in one, or a janitor (janitor.h). Call it when only
 * try_ calls are used, when blocks run out, or when a child is known to have died.
 *
 * Return: the number of dead participants with something postponed (0: all is back), or
 * -ENOMEM, -EUCLEAN when a ring or uring contradicts itself.
 */
EVR_API int evr_recover(struct evr_agent *agent, struct evr_recovery_stats *stats);

EVR_END_DECLS
#endif

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

/**
 * struct evr_recovery_stats - what was done.
 * @dead:            participants found dead, or found marked dead, in all passes.
 * @finished:        of these: everything is back, the record is free.
 * @freed:           blocks freed.
 * @returned:        requests sent home with -EOWNERDEAD.
 * @posted:          responses sent home in the dead one's stead.
 * @orphaned:        blocks left in a ring for whoever pops them.
 * @postponed:       blocks left for a later pass.
 * @undeliverable:   answers whose home had no room: freed.
 * @passes:          looks at everything, each for all who were dead when it began.
 * @steps:           calls of evr_recoverer_step(), or 1.
 * @scanned:         slots, words of the bitmap and words of blocks looked at. Blocks
 *                   that the bitmap calls free are not.
 * @elapsed_ns:      in steps, without the time between them.
 * @longest_step_ns: the longest of them.
 *
 * Of evr_recover(): of that call. Of evr_recoverer_step(): since the recoverer was
 * opened.
 */
struct evr_recovery_stats {
	uint32_t dead;
	uint32_t finished;
	uint32_t freed;
	uint32_t returned;
	uint32_t posted;
	uint32_t orphaned;
	uint32_t postponed;
	uint32_t undeliverable;
	uint32_t passes;
	uint32_t steps;
	uint64_t scanned;
	uint64_t elapsed_ns;
	uint64_t longest_step_ns;
	uint64_t reserved[4]; /* zero: for what later releases count */
};

EVR_STATIC_ASSERT(sizeof(struct evr_recovery_stats) == 96, "as later releases expect it");

/** struct evr_recoverer - recovery in steps; opaque, private memory of one thread. */
struct evr_recoverer;

EVR_BEGIN_DECLS

/**
 * evr_recover() - finds the dead and brings back what they held.
 * @agent: the calling thread's: what is claimed passes through its hands.
 * @stats: filled in; or NULL.
 *
 * Asks the kernel about every participant, then makes one pass for all who are dead.
 * Cost: about half a microsecond a participant when nobody is dead; otherwise also a look
 * at every ring's slot, every bitmap word, and the word of every block that is not free
 * (docs/RECOVERY.md has figures). To bound the time of a call: evr_recoverer_step().
 *
 * Threads: any number at once, each with its own agent. Signals: not from handlers.
 * Stopped or killed inside: others may do the same work meanwhile; nothing is lost.
 *
 * Waiting calls of channel.h do this by themselves, in steps, when they meet a death, and
 * so does a thread beside a process that sleeps in one, or a janitor (janitor.h). Call it
 * when only try_ calls are used, when blocks run out, or when a child is known to have
 * died.
 *
 * Return: the number of dead participants with something postponed (0: all is back), or
 * -ENOMEM, -EUCLEAN when a ring or uring contradicts itself.
 */
EVR_API int evr_recover(struct evr_agent *agent, struct evr_recovery_stats *stats);

/**
 * evr_recoverer_open() - prepares recovery in steps.
 * @agent: the calling thread's; it must stay open until the recoverer is closed.
 * @ret:   the recoverer, to be closed with evr_recoverer_close().
 *
 * Its memory is private, and small: it grows with the number of participants who are dead
 * and of urings, not with blocks or slots. Nothing is looked at yet.
 *
 * Threads: the agent's. Signals: not from handlers. In a child after fork(): close it.
 *
 * Return: 0 or -ENOMEM.
 */
EVR_API int evr_recoverer_open(struct evr_agent *agent, struct evr_recoverer **ret);

/**
 * evr_recoverer_step() - finds the dead and goes on bringing back what they held.
 * @recoverer: the calling thread's.
 * @looks:     how much to do, at least 1. A look is that at a slot or at a word of a
 *             block or of the bitmap, and takes 1 to 10 ns while that lies in the CPU's
 *             caches; a block that is brought back counts as 32.
 * @stats:     filled in, also on failure, with everything since the recoverer was opened;
 *             or NULL.
 *
 * The first step asks the kernel about every participant, and begins a pass for all who
 * are dead; the following ones go on with it, one begins the next when it is over. Who
 * dies in mid-pass is found by the pass after it.
 *
 * A step ends when @looks are used up, or up to a chunk of 64 blocks later. Not divided
 * are the look at all participants with which a pass begins (half a microsecond each),
 * the two at all agents (some nanoseconds each), and finding the end of a ring of a dead
 * submitter that is full to the last slot.
 *
 * Any time may pass between two steps, and anything happen: others recover the same dead
 * meanwhile, records get new users, the pool grows. A recoverer may be closed in
 * mid-pass; the dead stay dead for the next one.
 *
 * Threads: the agent's. Signals: not from handlers. In a child after fork(): not to be
 * called. Stopped or killed inside: as evr_recover().
 *
 * Return: 1: there is more to do; 0: the pass is over and all is back; -EAGAIN: it is
 * over, and something was postponed: a living participant may be taking it, look again
 * later; or an error, which ends the pass: -EINVAL (@looks is 0), -ENOMEM, -EUCLEAN as
 * evr_recover().
 */
EVR_API int evr_recoverer_step(struct evr_recoverer *recoverer, uint64_t looks,
			       struct evr_recovery_stats *stats);

/**
 * evr_recoverer_close() - frees a recoverer, wherever it is.
 * @recoverer: or NULL: nothing happens.
 *
 * Threads: the agent's. Signals: not from handlers. In a child after fork(): allowed, and
 * frees the child's copy. Stopped or killed inside: it is private memory.
 *
 * Return: NULL, to be assigned to the pointer.
 */
EVR_API struct evr_recoverer *evr_recoverer_close(struct evr_recoverer *recoverer);

EVR_END_DECLS
#endif

/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_TESTS_CRASH_SCENARIOS_H
#define EVERING_TESTS_CRASH_SCENARIOS_H

/* scenarios.h - what is enumerated, by subject; scenarios.c has the list. */

#include "crash.h"

extern const struct scenario scenario_alloc, scenario_refill, scenario_free,
	scenario_flush, scenario_free_container, scenario_contain, scenario_take_out,
	scenario_agent_open, scenario_agent_close, scenario_untracked_refill,
	scenario_untracked_flush, scenario_untracked_container;

extern const struct scenario scenario_alloc_bulk, scenario_free_bulk,
	scenario_untracked_alloc_bulk, scenario_untracked_free_bulk,
	scenario_hardened_alloc, scenario_hardened_refill, scenario_hardened_free,
	scenario_hardened_flush, scenario_hardened_push, scenario_hardened_pop,
	scenario_aligned_refill, scenario_aligned_flush, scenario_aligned_bulk;

extern const struct scenario scenario_push, scenario_push_full, scenario_pop,
	scenario_pop_empty, scenario_push_far, scenario_pop_far, scenario_ring_close;

extern const struct scenario scenario_push_burst, scenario_push_burst_closed,
	scenario_pop_burst, scenario_pop_one_of_burst, scenario_pop_last_of_burst,
	scenario_give_back, scenario_recover_burst, scenario_recover_burst_taken,
	scenario_recover_beside_pop_burst;
extern const struct scenario scenario_inline_push, scenario_inline_push_burst,
	scenario_inline_commit, scenario_inline_pop, scenario_inline_pop_burst,
	scenario_inline_release, scenario_inline_shown, scenario_inline_close,
	scenario_inline_leave, scenario_inline_take_pusher, scenario_inline_take_popper,
	scenario_inline_succeed_pusher, scenario_inline_succeed_popper,
	scenario_inline_succeed_shown, scenario_inline_take_beside_take;
extern const struct scenario scenario_lanes_push, scenario_lanes_push_burst,
	scenario_lanes_take, scenario_lanes_leave, scenario_lanes_closed,
	scenario_lanes_closing,
	scenario_lanes_pop, scenario_lanes_pop_burst, scenario_lanes_open,
	scenario_lanes_popper_leave;
extern const struct scenario scenario_lone_push, scenario_lone_push_full,
	scenario_lone_pop, scenario_lone_take, scenario_lone_take_over,
	scenario_lone_leave, scenario_lone_close, scenario_lone_hang_up,
	scenario_recover_role, scenario_lone_push_beside_hang_up,
	scenario_lone_take_beside_hang_up, scenario_lone_take_beside_take;

extern const struct scenario scenario_submit, scenario_receive, scenario_receive_gone,
	scenario_complete, scenario_complete_away, scenario_complete_gone,
	scenario_complete_late, scenario_reap, scenario_reap_returned,
	scenario_submitter_open, scenario_submitter_close, scenario_shutdown;

extern const struct scenario scenario_recover_idle, scenario_recover_lookalike,
	scenario_recover_request, scenario_recover_response, scenario_recover_taken,
	scenario_recover_taken_request, scenario_recover_limbo, scenario_recover_queued,
	scenario_recover_home;

extern const struct scenario scenario_recover_idle_steps,
	scenario_recover_request_steps, scenario_recover_response_steps,
	scenario_recover_taken_steps, scenario_recover_taken_request_steps,
	scenario_recover_limbo_steps, scenario_recover_queued_steps,
	scenario_recover_home_steps;

extern const struct scenario scenario_attach, scenario_detach, scenario_create_ring,
	scenario_create_uring, scenario_create_beside_create, scenario_grow_region,
	scenario_grow_pool, scenario_meet_extent, scenario_retire, scenario_revive,
	scenario_retire_beside, scenario_revive_beside;

extern const struct scenario scenario_create, scenario_create_huge,
	scenario_attach_read_only;

extern const struct scenario scenario_recover_beside_flush,
	scenario_recover_beside_refill, scenario_recover_beside_pop,
	scenario_recover_beside_hardened_pop,
	scenario_recover_beside_recover, scenario_recover_beside_complete,
	scenario_close_beside_complete, scenario_pop_beside_pop, scenario_pop_beside_push,
	scenario_push_beside_push;

extern const struct scenario scenario_agent_flush;

extern const struct scenario scenario_receive_waiting, scenario_reap_waiting,
	scenario_submit_waiting, scenario_submit_to_sleeper, scenario_find_dead,
	scenario_janitor_step;

extern const struct scenario scenario_work_on_contents, scenario_recover_several;

extern const struct scenario scenario_lone_drain, scenario_pop_extent;

extern const struct scenario scenario_create_pool, scenario_create_inline,
	scenario_inline_hang_up;

/* What any operation is tried with, and what one that takes something is, besides. */
#define MODES_ALONE  (IN(MODE_KILL) | IN(MODE_QUIET) | IN(MODE_STOP) | IN(MODE_OTHER))
#define MODES_SENDER (IN(MODE_SENDER) | IN(MODE_BOTH))

/* What a prefix says of a request, between the word and the list of contents. */
#define PREFIX_BEGIN offsetof(struct evr_block_shared, home)
#define PREFIX_END   offsetof(struct evr_block_shared, contents)

void hold_blocks(struct party *party, uint32_t count);
void free_held(struct party *party);
void leave_bitmap_intent(struct party *source);
void enter_supplied(struct party *victim);
void enter_message(struct party *victim);
void enter_cached(struct party *victim);
void enter_hold_two(struct party *victim);
void plant_stale_prefixes(struct party *house);
void enter_full_magazine(struct party *victim);
void do_alloc(struct party *victim);
void do_free(struct party *victim);
void do_push(struct party *victim);
void do_pop(struct party *victim);
void do_submitter_close(struct party *victim);
void do_recover(struct party *victim);
void leave_allocated(struct party *victim);
void leave_freed(struct party *victim);
void leave_pushed(struct party *victim);
void leave_popped(struct party *victim);
void leave_submitter_closed(struct party *victim);
void leave_recovered(struct party *victim);
void depart_with_request_taken(struct party *departed);
void ring_traffic(struct party *house);
void supply_messages(struct party *source);
void take_a_message(struct party *rival);
/* Receives into party->request; waits for it. */
void receive_one(struct party *party);
/* Takes a request out of the submission ring and stops before its mark. */
void take_a_request(struct party *party);
/* Takes the token at the head of a ring as a popper does, and stops before its mark. */
void take_without_mark(struct party *party, struct evr_ring *ring);

#endif

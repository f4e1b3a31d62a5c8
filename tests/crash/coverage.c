/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * coverage.c - which scenario goes through which function of the library.
 *
 * Every function of libevering/libevering.map stands here: with the operations that are
 * tried at each of its instructions, or with the reason why there are none.
 * tests/lint/crash-coverage.sh compares the names with the map, and the harness itself
 * looks whether what is said to be on an operation's path was on it.
 */

#include "crash.h"

#include <string.h>

#define TRIED(function, operations) { function, operations, NULL, false }
/* Inline: a part of the scenario's own code. */
#define WITHIN(function, operations) { function, operations, NULL, true }
#define NOT_TRIED(function, reason) { function, NULL, reason, false }

#define LOOKS "it reads, and changes nothing that is shared"
#define VIEW "it opens or closes what is this process's alone"
#define MACHINE "it concerns processors, nodes and sets of numbers, not the region"
#define SOCKETS                                                                      \
	"descriptors and directories: killed and stopped at each system call in "    \
	"tests/unit/test_meet_death.c, test_meet_place.c"
#define NAMED "killed at each system call in tests/unit/test_named_death.c"

const struct coverage coverage[] = {
	/* ---- blocks ---- */
	WITHIN("evr_block_alloc", "alloc refill untracked-refill meet-extent"),
	WITHIN("evr_block_free", "free flush free-container untracked-flush"),
	TRIED("evr_block_alloc_bulk", "alloc-bulk"),
	TRIED("evr_block_free_bulk", "free-bulk"),
	TRIED("evr_block_contain", "contain"),
	TRIED("evr_block_take_out", "take-out"),
	TRIED("evr_block_content", "work-on-contents"),
	TRIED("evri_block_free_contents", "free-container"),
	TRIED("evri_magazine_refill", "refill untracked-refill alloc-bulk"),
	TRIED("evri_magazine_flush", "flush untracked-flush free-bulk"),
	TRIED("evr_agent_flush", "agent-flush"),
	NOT_TRIED("evr_agent_set_node", VIEW),
	NOT_TRIED("evr_agent_borrowed", VIEW),
	NOT_TRIED("evr_pool_node_stats", LOOKS),
	NOT_TRIED("evr_backoff_wait", "it pauses, and touches nothing that is shared"),
	NOT_TRIED("evri_block_refusal", LOOKS),
	TRIED("evr_agent_open", "agent-open"),
	TRIED("evr_agent_close", "agent-close"),
	TRIED("evri_pool_meet", "pop-extent"),
	NOT_TRIED("evri_block_enters", "a hardened pool's own table, in private memory"),
	NOT_TRIED("evri_block_leaves", "a hardened pool's own table, in private memory"),
	/* ---- rings ---- */
	WITHIN("evr_ring_try_push", "push push-full push-far lone-push"),
	WITHIN("evr_ring_try_pop", "pop pop-empty pop-far lone-pop"),
	TRIED("evri_ring_push_refused", "lone-push-full"),
	TRIED("evri_ring_push_on", "push-full push-far lone-push-full"),
	TRIED("evri_ring_pop_on", "pop-far"),
	NOT_TRIED("evri_ring_look_ahead", LOOKS),
	NOT_TRIED("evri_ring_pop_refused", "the popper's last look: no store"),
	NOT_TRIED("evri_ring_raise_hint", "every 16th step: a hint, which may lack"),
	TRIED("evri_ring_locate", "push-far pop-far"),
	TRIED("evr_ring_close", "ring-close lone-close lone-hang-up"),
	TRIED("evr_ring_try_push_burst", "push-burst push-burst-closed"),
	WITHIN("evr_ring_try_pop_burst", "pop-burst"),
	TRIED("evri_ring_burst_first", "pop-one-of-burst"),
	TRIED("evri_ring_burst_next", "pop-one-of-burst pop-last-of-burst"),
	TRIED("evr_ring_give_back", "give-back"),
	TRIED("evr_ring_take_role", "lone-take lone-take-over"),
	TRIED("evr_ring_leave_role", "lone-leave"),
	TRIED("evri_ring_drained", "lone-drain"),
	TRIED("evr_ring_create", "create-ring"),
	TRIED("evr_ring_create_with", "create-ring"),
	NOT_TRIED("evr_ring_create_in", "evr_ring_create() in another range"),
	/* ---- rings of inline entries ---- */
	WITHIN("evr_ring_inline_try_push", "inline-push"),
	WITHIN("evr_ring_inline_push_burst", "inline-push-burst"),
	WITHIN("evr_ring_inline_reserve", "inline-commit"),
	WITHIN("evr_ring_inline_commit", "inline-commit"),
	WITHIN("evr_ring_inline_try_pop", "inline-pop"),
	WITHIN("evr_ring_inline_pop_burst", "inline-pop-burst"),
	WITHIN("evr_ring_inline_peek", "inline-release inline-shown"),
	WITHIN("evr_ring_inline_release", "inline-release inline-shown"),
	TRIED("evr_ring_inline_close", "inline-close"),
	TRIED("evr_ring_inline_hang_up", "inline-hang-up"),
	TRIED("evr_ring_inline_leave", "inline-leave"),
	TRIED("evr_ring_inline_open", "inline-take-pusher inline-take-popper"),
	TRIED("evr_ring_inline_create", "create-inline"),
	NOT_TRIED("evri_ring_inline_make_room", "the popper's count is read; full, in "
						"tests/process/inline_chaos.c"),
	NOT_TRIED("evri_ring_inline_look_after", "asks whether the other side is alive: "
						 "tests/process/inline_chaos.c"),
	/* ---- lanes ---- */
	WITHIN("evr_ring_lane_try_push", "lanes-push"),
	WITHIN("evr_ring_lane_push_burst", "lanes-push-burst"),
	TRIED("evr_ring_lane_open", "lanes-take"),
	TRIED("evr_ring_lane_leave", "lanes-leave"),
	WITHIN("evr_ring_lanes_try_pop", "lanes-pop"),
	WITHIN("evr_ring_lanes_pop_burst", "lanes-pop-burst"),
	TRIED("evri_ring_lanes_next", "lanes-pop lanes-pop-burst"),
	TRIED("evr_ring_lanes_open", "lanes-open"),
	TRIED("evr_ring_lanes_leave", "lanes-popper-leave"),
	NOT_TRIED("evr_ring_lane_reserve", "as of an inline ring, which is tried"),
	NOT_TRIED("evr_ring_lane_commit", "as of an inline ring, which is tried"),
	NOT_TRIED("evr_ring_lanes_peek", "as of an inline ring, which is tried"),
	NOT_TRIED("evr_ring_lanes_release", "as of an inline ring, which is tried"),
	NOT_TRIED("evr_ring_lane_close", "as of an inline ring, which is tried"),
	NOT_TRIED("evr_ring_lanes_close", "beside lanes-closing; lanes_chaos.c"),
	NOT_TRIED("evr_ring_lanes_hang_up", "as of an inline ring, which is tried"),
	NOT_TRIED("evr_ring_lanes_create", "as of an inline ring, which is tried"),
	NOT_TRIED("evri_ring_lane_make_room", "the popper's count is read: no store"),
	NOT_TRIED("evr_ring_lane_capacity", LOOKS),
	NOT_TRIED("evr_ring_lane_index", LOOKS),
	NOT_TRIED("evr_ring_lanes_last", LOOKS),
	/* ---- channels ---- */
	TRIED("evr_submitter_try_submit", "submit submit-to-sleeper"),
	TRIED("evr_submitter_submit", "submit-waiting"),
	TRIED("evr_submitter_try_reap", "reap reap-returned"),
	TRIED("evr_submitter_reap", "reap-waiting"),
	TRIED("evr_submitter_open", "submitter-open"),
	TRIED("evr_submitter_close", "submitter-close"),
	TRIED("evr_completer_try_receive", "receive receive-gone"),
	TRIED("evr_completer_receive", "receive-waiting"),
	TRIED("evr_completer_complete",
	      "complete complete-away complete-gone complete-late"),
	TRIED("evr_uring_create", "create-uring"),
	TRIED("evr_uring_shutdown", "shutdown"),
	/* ---- sleeping and waking ---- */
	TRIED("evr_doorbell_arm", "receive-waiting reap-waiting"),
	TRIED("evr_doorbell_sleep", "receive-waiting reap-waiting"),
	WITHIN("evr_doorbell_ring", "receive-waiting"),
	WITHIN("evr_doorbell_ring_after_cas", "submit-to-sleeper complete"),
	TRIED("evr_doorbell_ring_slow", "submit-to-sleeper"),
	TRIED("evr_doorbell_ring_all", "recover-idle janitor-step"),
	NOT_TRIED("evr_doorbell_count_backstop", "one counter that nobody acts upon"),
	NOT_TRIED("evr_doorbell_init", "before anybody can find the bell"),
	/* ---- recovery ---- */
	TRIED("evr_recover",
	      "recover-idle recover-lookalike recover-request recover-response "
	      "recover-taken recover-taken-request recover-limbo recover-queued "
	      "recover-home recover-burst recover-role recover-several"),
	TRIED("evr_recoverer_step",
	      "recover-idle-steps recover-request-steps recover-response-steps "
	      "recover-taken-steps recover-taken-request-steps recover-limbo-steps "
	      "recover-queued-steps recover-home-steps"),
	TRIED("evr_participant_find_dead", "find-dead"),
	TRIED("evr_janitor_step", "janitor-step"),
	NOT_TRIED("evr_recoverer_open", VIEW),
	NOT_TRIED("evr_recoverer_close", VIEW),
	NOT_TRIED("evr_janitor_open", VIEW),
	NOT_TRIED("evr_janitor_close", VIEW),
	NOT_TRIED("evr_janitor_fd", VIEW),
	/* ---- regions and pools ---- */
	TRIED("evr_region_create", "create"),
	TRIED("evr_region_attach", "attach"),
	TRIED("evr_region_attach_read_only", "attach-read-only"),
	TRIED("evr_region_detach", "detach"),
	TRIED("evr_region_grow", "grow-region"),
	TRIED("evr_pool_create", "create-pool"),
	TRIED("evr_pool_grow", "grow-pool revive"),
	TRIED("evr_pool_retire", "retire"),
	NOT_TRIED("evr_pool_open", VIEW),
	NOT_TRIED("evr_pool_close", VIEW),
	NOT_TRIED("evr_ring_open", VIEW),
	NOT_TRIED("evr_ring_set_burst_max", VIEW),
	NOT_TRIED("evr_uring_open", VIEW),
	NOT_TRIED("evr_uring_close", VIEW),
	NOT_TRIED("evr_completer_open", "it recovers (recover-*), and opens what is this "
					"process's alone"),
	NOT_TRIED("evr_completer_close", VIEW),
	/* ---- meeting ---- */
	NOT_TRIED("evr_accept", SOCKETS),
	NOT_TRIED("evr_connect", SOCKETS),
	NOT_TRIED("evr_inherited_fd", SOCKETS),
	NOT_TRIED("evr_listen", SOCKETS),
	NOT_TRIED("evr_listener_add", SOCKETS),
	NOT_TRIED("evr_listener_add_with_bells", SOCKETS),
	NOT_TRIED("evr_listener_close", SOCKETS),
	NOT_TRIED("evr_listener_fd", SOCKETS),
	NOT_TRIED("evr_listener_remove", SOCKETS),
	NOT_TRIED("evr_listener_serve", SOCKETS),
	NOT_TRIED("evr_meet_path", SOCKETS),
	NOT_TRIED("evr_region_receive", SOCKETS),
	NOT_TRIED("evr_region_send", SOCKETS),
	NOT_TRIED("evr_named_open", NAMED),
	NOT_TRIED("evr_named_close", NAMED),
	NOT_TRIED("evr_named_region", NAMED),
	NOT_TRIED("evr_named_was_created", NAMED),
	/* ---- looking ---- */
	NOT_TRIED("evr_address_node", LOOKS),
	NOT_TRIED("evr_agent_word", LOOKS),
	NOT_TRIED("evr_block_at", LOOKS),
	NOT_TRIED("evr_block_word", LOOKS),
	NOT_TRIED("evr_block_word_generation", LOOKS),
	NOT_TRIED("evr_block_word_next", LOOKS),
	NOT_TRIED("evr_block_word_owner", LOOKS),
	NOT_TRIED("evr_block_word_state", LOOKS),
	NOT_TRIED("evr_doorbell_backstops", LOOKS),
	NOT_TRIED("evr_doorbell_rung_since", LOOKS),
	NOT_TRIED("evr_error_detail", LOOKS),
	NOT_TRIED("evr_participant_get", LOOKS),
	NOT_TRIED("evr_participant_records", LOOKS),
	NOT_TRIED("evr_participant_word", LOOKS),
	NOT_TRIED("evr_pool_blocks", LOOKS),
	NOT_TRIED("evr_pool_free_count", LOOKS),
	NOT_TRIED("evr_pool_payload_max", LOOKS),
	NOT_TRIED("evr_pool_region", LOOKS),
	NOT_TRIED("evr_pool_stats", LOOKS),
	NOT_TRIED("evr_region_bytes", LOOKS),
	NOT_TRIED("evr_region_bytes_max", LOOKS),
	NOT_TRIED("evr_region_dump", LOOKS),
	NOT_TRIED("evr_region_fd", LOOKS),
	NOT_TRIED("evr_region_number", LOOKS),
	NOT_TRIED("evr_region_page_bytes", LOOKS),
	NOT_TRIED("evr_region_report", LOOKS),
	NOT_TRIED("evr_region_report_destroy", LOOKS),
	NOT_TRIED("evr_region_report_write", LOOKS),
	NOT_TRIED("evr_ring_capacity", LOOKS),
	NOT_TRIED("evr_ring_flags", LOOKS),
	NOT_TRIED("evr_ring_in_hand", LOOKS),
	NOT_TRIED("evr_ring_inline_capacity", LOOKS),
	NOT_TRIED("evr_ring_role_word", LOOKS),
	NOT_TRIED("evr_strerror", LOOKS),
	NOT_TRIED("evr_submitter_in_flight", LOOKS),
	NOT_TRIED("evr_submitter_slot", LOOKS),
	NOT_TRIED("evr_token_generation", LOOKS),
	NOT_TRIED("evr_token_index", LOOKS),
	NOT_TRIED("evr_token_make", LOOKS),
	NOT_TRIED("evr_token_tag", LOOKS),
	NOT_TRIED("evr_token_wire", LOOKS),
	NOT_TRIED("evr_uring_pool", LOOKS),
	NOT_TRIED("evr_uring_window", LOOKS),
	NOT_TRIED("evr_version", LOOKS),
	/* ---- the machine ---- */
	NOT_TRIED("evr_cpu_allowed", MACHINE),
	NOT_TRIED("evr_cpu_current", MACHINE),
	NOT_TRIED("evr_cpu_node", MACHINE),
	NOT_TRIED("evr_cpu_of_role", MACHINE),
	NOT_TRIED("evr_cpu_pin", MACHINE),
	NOT_TRIED("evr_cpu_pin_role", MACHINE),
	NOT_TRIED("evr_node_allowed", MACHINE),
	NOT_TRIED("evr_node_cpus", MACHINE),
	NOT_TRIED("evr_number_set_add", MACHINE),
	NOT_TRIED("evr_number_set_clear", MACHINE),
	NOT_TRIED("evr_number_set_copy", MACHINE),
	NOT_TRIED("evr_number_set_count", MACHINE),
	NOT_TRIED("evr_number_set_create", MACHINE),
	NOT_TRIED("evr_number_set_destroy", MACHINE),
	NOT_TRIED("evr_number_set_equal", MACHINE),
	NOT_TRIED("evr_number_set_format", MACHINE),
	NOT_TRIED("evr_number_set_has", MACHINE),
	NOT_TRIED("evr_number_set_next", MACHINE),
	NOT_TRIED("evr_number_set_parse", MACHINE),
	NOT_TRIED("evr_number_set_remove", MACHINE),
	{ NULL, NULL, NULL, false },
};

/* Is the word one of the list's? */
static bool has_word(const char *list, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = list; (at = strstr(at, word)) != NULL; at += length)
		if ((at == list || at[-1] == ' ') &&
		    (at[length] == ' ' || at[length] == '\0'))
			return true;
	return false;
}

static bool goes_through(const struct trace *trace, const char *function)
{
	uint64_t begin, end;

	if (!symbol_find(function, &begin, &end))
		return false;
	for (uint32_t i = 0; i < trace->count; i++)
		if (trace->address[i] >= begin && trace->address[i] < end)
			return true;
	return false;
}

const char *coverage_missed(const char *operation, const struct trace *trace)
{
	for (const struct coverage *one = coverage; one->function; one++)
		if (one->operations && !one->is_inline &&
		    has_word(one->operations, operation) &&
		    !goes_through(trace, one->function))
			return one->function;
	return NULL;
}

/* Of one function: in which modes the operations that go through it are tried. */
static void list_one(const struct coverage *one)
{
	uint32_t modes = 0;

	for (int i = 0; scenarios[i]; i++)
		if (has_word(one->operations, scenarios[i]->name))
			modes |= scenarios[i]->modes;
	printf("%-28s %s;", one->function, one->operations);
	for (int mode = 0; mode < MODES; mode++)
		if (modes & IN(mode))
			printf(" %s", mode_names[mode]);
	putchar('\n');
}

void coverage_list(void)
{
	for (const struct coverage *one = coverage; one->function; one++) {
		if (one->operations)
			list_one(one);
		else
			printf("%-28s -- %s\n", one->function, one->reason);
	}
}

/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * scenarios_recovery.c - the victim is the recoverer, of one who died holding something.
 * It is killed, or stopped while the others recover the same dead one, and goes on.
 */

#include "scenarios.h"

#include <errno.h>

#include "pool_internal.h"

void do_recover(struct party *victim)
{
	victim->result = evr_recover(&victim->agent, NULL);
}

void leave_recovered(struct party *victim)
{
	MUST(victim, victim->result);
}

/* The same in small steps: whatever lies between two pieces is a point where
 * a recoverer can be stopped or killed in mid-pass, with what it knows in its memory. */
static void enter_steps(struct party *victim)
{
	MUST(victim, evr_recoverer_open(&victim->agent, &victim->recoverer));
}

static void do_steps(struct party *victim)
{
	do
		victim->result = evr_recoverer_step(victim->recoverer, 4, NULL);
	while (victim->result == 1);
}

static void leave_steps(struct party *victim)
{
	/* Something may be in the hands of others, who are at work. */
	if (victim->result != -EAGAIN)
		MUST(victim, victim->result);
	victim->recoverer = evr_recoverer_close(victim->recoverer);
}

/* The source sent them; the departed takes them, or something else, and dies. */
static void supply_requests(struct party *source)
{
	for (uint32_t i = 0; i < 2; i++) {
		if (!request_send(source, i + 1))
			complain(source, "request %u could not be sent", i);
	}
	if (!message_send(source) || !message_send(source))
		complain(source, "the messages could not be sent");
}

#define RECOVERY(NAME, ABOUT, SUPPLY, DEPART)                                         \
	{                                                                             \
		.name = NAME, .about = ABOUT, .modes = KILL_STOP_LATE,                \
		.geometry = &geometry_small, .supply = SUPPLY, .depart = DEPART,      \
		.operate = do_recover, .leave = leave_recovered,                      \
	}

#define IN_STEPS(NAME, MODES, GEOMETRY, SUPPLY, DEPART)                                \
	{                                                                              \
		.name = NAME, .about = "the same, in small steps",              \
		.modes = MODES, .geometry = GEOMETRY, .supply = SUPPLY,                \
		.depart = DEPART, .enter = enter_steps, .operate = do_steps,           \
		.leave = leave_steps, .stride = 7,                                     \
	}
#define KILL_STOP_LATE (IN(MODE_KILL) | IN(MODE_STOP) | IN(MODE_LATE))

/* ---- idle blocks, a container, a magazine ---- */

static void depart_with_blocks(struct party *departed)
{
	hold_blocks(departed, 4);
	MUST(departed, evr_block_contain(&departed->agent, departed->held[0].token,
					 departed->held[1].token));
	MUST(departed, evr_block_free(&departed->agent, departed->held[2].token));
}

const struct scenario scenario_recover_idle =
	RECOVERY("recover-idle", "of one with idle blocks, a container and a magazine",
		 NULL, depart_with_blocks);

const struct scenario scenario_recover_idle_steps =
	IN_STEPS("recover-idle-steps", KILL_STOP_LATE, &geometry_small, NULL,
		 depart_with_blocks);

/* ---- nothing, but a living one's container has its number for an index ---- */

static void supply_lookalike(struct party *source)
{
	struct evr_block *last;

	await(source, &source->board->present);
	do {
		hold_blocks(source, 1);
		last = &source->held[source->held_count - 1];
	} while (evr_token_index(last->token) != source->board->departed);
	/* What was freed last is allocated first, as the container. */
	source->held_count--;
	MUST(source, evr_block_free(&source->agent, last->token));
	if (!request_send(source, 2))
		complain(source, "the request could not be sent");
	free_held(source);
}

static void depart_with_nothing(struct party *departed)
{
	await(departed, &departed->board->supplied);
}

/* Before anybody works: what the living one's request contains is still in it. */
static void beside_lookalike(struct party *house)
{
	uint32_t container = house->board->departed;
	uint32_t inside = 0;

	while (evr_recover(&house->agent, NULL) > 0)
		;
	for (uint32_t i = 0; i < evr_pool_blocks(house->pool); i++) {
		uint64_t word =
			evr_load_acquire_u64(&evri_block_at(&house->agent, i)->word);

		inside += evr_block_word_state(word) == EVR_BLOCK_IN &&
			  evr_block_word_owner(word) == container;
	}
	if (inside != 2)
		complain(house,
			 "recovery took what is in block %u of a living one for the "
			 "dead one's, whose number is %u: %u of 2 are left",
			 container, container, inside);
}

const struct scenario scenario_recover_lookalike = {
	.name = "recover-lookalike",
	.about = "of one whose number is the index of a living one's container",
	.modes = IN(MODE_KILL),
	.geometry = &geometry_small,
	.supply = supply_lookalike,
	.depart = depart_with_nothing,
	.operate = do_recover,
	.leave = leave_recovered,
	.beside = beside_lookalike,
};

/* ---- requests in hand ---- */

static void depart_with_requests(struct party *departed)
{
	await(departed, &departed->board->supplied);
	receive_one(departed);
	receive_one(departed);
}

const struct scenario scenario_recover_request =
	RECOVERY("recover-request", "of one with two requests in hand", supply_requests,
		 depart_with_requests);

const struct scenario scenario_recover_request_steps =
	IN_STEPS("recover-request-steps", KILL_STOP_LATE, &geometry_small,
		 supply_requests, depart_with_requests);

/* ---- a response written and not posted ---- */

static void depart_with_response(struct party *departed)
{
	await(departed, &departed->board->supplied);
	receive_one(departed);

	struct evr_block_shared *block =
		block_of(departed, departed->request.block.token);
	uint64_t word = evr_load_relaxed_u64(&block->word);
	block->status = (int32_t)departed->request.operation + 7;
	block->response_bytes = RESPONSE_BYTES;
	departed->board->answered = (uint32_t)departed->request.operation;
	/* What evr_completer_complete() stores last before it pushes. */
	evr_store_release_u64(&block->word,
			      evr_block_word(evr_block_word_generation(word),
					     EVR_BLOCK_RESP, departed->agent.number));
}

const struct scenario scenario_recover_response =
	RECOVERY("recover-response", "of one who had not yet posted its answer",
		 supply_requests, depart_with_response);

const struct scenario scenario_recover_response_steps =
	IN_STEPS("recover-response-steps", KILL_STOP_LATE, &geometry_small,
		 supply_requests, depart_with_response);

/* ---- taken out of a ring and not marked ---- */

void take_without_mark(struct party *party, struct evr_ring *ring)
{
	for (uint64_t i = 0;; i++) {
		uint64_t position = ring->head + i;
		struct evr_atomic_u64 *slot = &ring->slots[position & ring->mask];
		uint64_t word = evr_load_acquire_u64(slot);

		if (evri_slot_ahead(word, position >> ring->order) != 1) {
			if (i > 64)
				return; /* empty */
			continue;
		}
		evr_store_release_u64(&party->agent.shared->intent[0],
				      EVR_INTENT_SET | (word & EVR_TOKEN_WIRE_MASK));
		if (!evr_cas_acq_rel_u64(slot, &word,
					 evri_slot_empty((position >> ring->order) + 1)))
			complain(party, "somebody else took it");
		return;
	}
}

static void depart_with_message_taken(struct party *departed)
{
	await(departed, &departed->board->supplied);
	take_without_mark(departed, &departed->ring);
}

const struct scenario scenario_recover_taken = {
	.name = "recover-taken",
	.about = "of one who had a message in its registers; its sender lives, or not",
	.modes = KILL_STOP_LATE | IN(MODE_SENDER),
	.geometry = &geometry_small,
	.supply = supply_requests,
	.depart = depart_with_message_taken,
	.operate = do_recover,
	.leave = leave_recovered,
	.messages_lost = 1,
};

const struct scenario scenario_recover_taken_steps = {
	.name = "recover-taken-steps",
	.about = "the same, in small steps",
	.modes = KILL_STOP_LATE | IN(MODE_SENDER),
	.geometry = &geometry_small,
	.supply = supply_requests,
	.depart = depart_with_message_taken,
	.enter = enter_steps,
	.operate = do_steps,
	.leave = leave_steps,
	.stride = 7,
	.messages_lost = 1,
};

void depart_with_request_taken(struct party *departed)
{
	await(departed, &departed->board->supplied);
	take_a_request(departed);
}

const struct scenario scenario_recover_taken_request = {
	.name = "recover-taken-request",
	.about = "of one who had a request in its registers",
	.modes = KILL_STOP_LATE,
	.geometry = &geometry_small,
	.supply = supply_requests,
	.depart = depart_with_request_taken,
	.operate = do_recover,
	.leave = leave_recovered,
};

const struct scenario scenario_recover_taken_request_steps =
	IN_STEPS("recover-taken-request-steps", KILL_STOP_LATE, &geometry_small,
		 supply_requests, depart_with_request_taken);

/* ---- on the way to and from the bitmap ---- */

static void depart_in_limbo(struct party *departed)
{
	struct evr_atomic_u64 *bitmap = bitmap_word(departed, 0);

	hold_blocks(departed, 3);
	evr_store_release_u64(&departed->agent.shared->bitmap_intent, 1);
	/* Two words say FREE, the bits are not yet set. */
	for (uint32_t i = 0; i < 2; i++) {
		struct evr_block_shared *block =
			block_of(departed, departed->held[i].token);

		evr_store_release_u64(
			&block->word,
			evr_block_word_next(evr_load_relaxed_u64(&block->word),
					    EVR_BLOCK_FREE, 0));
	}
	/* A bit is taken, its word still says FREE. */
	uint64_t bits = evr_load_relaxed_u64(bitmap);
	while (!evr_cas_acq_rel_u64(bitmap, &bits, bits & (bits - 1)))
		;
}

const struct scenario scenario_recover_limbo = {
	.name = "recover-limbo",
	.about = "of one who was refilling and flushing",
	.modes = KILL_STOP_LATE,
	.geometry = &geometry_tiny,
	.depart = depart_in_limbo,
	.operate = do_recover,
	.leave = leave_recovered,
};

const struct scenario scenario_recover_limbo_steps = IN_STEPS(
	"recover-limbo-steps", KILL_STOP_LATE, &geometry_tiny, NULL, depart_in_limbo);

/* ---- blocks in rings ---- */

static void depart_with_queue(struct party *departed)
{
	if (!message_send(departed) || !message_send(departed))
		complain(departed, "the messages could not be sent");
	party_open_submitter(departed);
	if (!request_send(departed, 2) || !request_send(departed, 0))
		complain(departed, "the requests could not be sent");
}

const struct scenario scenario_recover_queued =
	RECOVERY("recover-queued", "of one whose messages and requests are in rings",
		 NULL, depart_with_queue);

const struct scenario scenario_recover_queued_steps =
	IN_STEPS("recover-queued-steps", KILL_STOP_LATE, &geometry_small, NULL,
		 depart_with_queue);

/* ---- a home, with answers in it and answers to come ---- */

static void answer_one_hold_one(struct party *source)
{
	receive_one(source);
	request_answer(source, &source->request);
	receive_one(source);
	announce(&source->board->received);
	announce(&source->board->supplied);
	await(source, &source->board->finish);
	int result = evr_completer_complete(
		source->completer, source->request.block.token, 7, RESPONSE_BYTES);
	if (result != -EPIPE)
		complain(source, "answering the dead gave %d", result);
}

static void depart_with_home(struct party *departed)
{
	party_open_submitter(departed);
	if (!request_send(departed, 1) || !request_send(departed, 2))
		complain(departed, "the requests could not be sent");
	await(departed, &departed->board->received);
}

const struct scenario scenario_recover_home =
	RECOVERY("recover-home", "of a submitter with an answer unreaped and one to come",
		 answer_one_hold_one, depart_with_home);

const struct scenario scenario_recover_home_steps =
	IN_STEPS("recover-home-steps", KILL_STOP_LATE, &geometry_small,
		 answer_one_hold_one, depart_with_home);

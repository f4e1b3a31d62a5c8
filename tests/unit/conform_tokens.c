/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* conform_tokens.c - the rings of blocks for the conformance suite: any number or one on
 * either side, blocks one by one, and bursts that travel in one block. */

#include "conform.h"

/* What a block carries: its number, and the token that it was pushed under. */
struct message {
	uint64_t number;
	evr_token sent;
};

static int create(const struct kind *kind, struct peer *peer, const char *name,
		  uint32_t order)
{
	struct evr_ring_options options = {
		.size = sizeof(options), .name = name, .order = order,
		.flags = kind->flags,
	};
	struct evr_ring ring;
	int error = evr_ring_create_with(peer->region, &options, &ring);

	if (error < 0)
		return error;
	return evr_ring_flags(&ring) == kind->flags ? 0 : -EBADMSG;
}

/* An end is opened once: who takes a role again knows only what was long ago. */
static int take(struct end *end)
{
	int error;

	if (!end->ring.shared) {
		error = evr_ring_open(end->peer->region, end->name, &end->ring);
		if (error < 0)
			return error;
		error = evr_ring_set_burst_max(&end->ring, end->kind->carries ? 0 : 1);
		if (error < 0)
			return error;
	}
	if (!(end->kind->flags & end->side))
		return 0;
	return evr_ring_take_role(&end->ring, &end->peer->agent, end->side);
}

static void leave_role(struct end *end)
{
	if (end->kind->flags & end->side)
		evr_ring_leave_role(&end->ring, &end->peer->agent, end->side);
}

static uint64_t capacity(const struct end *end)
{
	return evr_ring_capacity(&end->ring);
}

static int new_message(struct end *end, uint64_t number, evr_token *ret)
{
	struct evr_block block;
	int error = evr_block_alloc(&end->peer->agent, sizeof(struct message), &block);

	if (error < 0)
		return error;
	*(struct message *)block.payload = (struct message){ number, block.token };
	*ret = block.token;
	return 0;
}

/* Reads and frees it. The token that it was sent under must be worth nothing now. */
static int open_message(struct end *end, const struct evr_block *block, uint64_t *ret)
{
	struct message message = *(struct message *)block->payload;

	if (message.sent.raw == block->token.raw ||
	    evr_block_free(&end->peer->agent, message.sent) != -ESTALE)
		return -EBADMSG;
	*ret = message.number;
	return evr_block_free(&end->peer->agent, block->token);
}

static int push(struct end *end, uint64_t number)
{
	evr_token token;
	int error = new_message(end, number, &token);

	if (error < 0)
		return error;
	error = evr_ring_try_push(&end->ring, &end->peer->agent, token);
	if (error < 0 && evr_block_free(&end->peer->agent, token) < 0)
		return -EBADMSG;
	return error;
}

static int pop(struct end *end, uint64_t *ret)
{
	struct evr_block block;
	int error = evr_ring_try_pop(&end->ring, &end->peer->agent, &block);

	return error < 0 ? error : open_message(end, &block, ret);
}

static int push_some(struct end *end, uint64_t first, uint32_t count)
{
	evr_token tokens[SOME_MAX];
	uint32_t made = 0;
	int error = 0;
	int pushed;

	while (made < count && error == 0) {
		error = new_message(end, first + made, &tokens[made]);
		made += error == 0;
	}
	pushed = error < 0 ? error :
			     evr_ring_try_push_burst(&end->ring, &end->peer->agent,
						     tokens, count);
	for (uint32_t i = pushed < 0 ? 0 : (uint32_t)pushed; i < made; i++)
		if (evr_block_free(&end->peer->agent, tokens[i]) < 0)
			return -EBADMSG;
	return pushed;
}

static int pop_some(struct end *end, uint64_t *ret, uint32_t max)
{
	struct evr_block blocks[SOME_MAX];
	int popped = evr_ring_try_pop_burst(&end->ring, &end->peer->agent, blocks, max);

	for (int i = 0; i < popped; i++)
		if (open_message(end, &blocks[i], &ret[i]) < 0)
			return -EBADMSG;
	return popped;
}

static int close_ring(struct end *end)
{
	return evr_ring_close(&end->ring);
}

/* A living pusher that is the only one closes when it is told. */
static int hang_up(struct end *end)
{
	int error = evr_ring_close(&end->ring);

	return error == -EINPROGRESS && end->kind->flags & EVR_RING_PUSHER ? 0 : error;
}

static int hold(struct end *end)
{
	struct evr_block block;
	evr_token token;
	int error = 0;

	if (end->side == EVR_RING_POPPER)
		return evr_ring_try_pop(&end->ring, &end->peer->agent, &block);
	for (uint64_t i = 0; i < 3 && error == 0; i++)
		error = new_message(end, i, &token);
	return error;
}

#define NO_PLACE "a block is written and read in place before the push, after the pop"
#define MANY "any number of participants may be at this side at once"

#define TOKENS                                                                           \
	.family = FAMILY_TOKENS, .fate = FATE_FREED,                                     \
	.largest_order = EVR_RING_ORDER_MAX, .stranger = -EPERM, .pusher_died = -EAGAIN, \
	.second_close = 0, .close_when_full = -EAGAIN, .push_when_closed = -EPIPE,       \
	.create = create, .take = take, .leave = leave_role, .capacity = capacity,       \
	.push = push, .pop = pop, .push_some = push_some, .pop_some = pop_some,          \
	.close = close_ring, .hang_up = hang_up, .hold = hold

#define SIDES(sides) .flags = (sides), .single = (sides)
#define PUSHER EVR_RING_SINGLE_PUSHER
#define POPPER EVR_RING_SINGLE_POPPER

const struct kind kind_spsc = {
	.name = "spsc", TOKENS, SIDES(PUSHER | POPPER),
	.lacks = { [ASPECT_IN_PLACE] = NO_PLACE },
};

const struct kind kind_mpsc = {
	.name = "mpsc", TOKENS, SIDES(POPPER),
	.lacks = { [ASPECT_IN_PLACE] = NO_PLACE, [ASPECT_PUSHER] = MANY },
};

const struct kind kind_spmc = {
	.name = "spmc", TOKENS, SIDES(PUSHER),
	.lacks = { [ASPECT_IN_PLACE] = NO_PLACE, [ASPECT_POPPER] = MANY },
};

const struct kind kind_mpmc = {
	.name = "mpmc", TOKENS, SIDES(0),
	.lacks = { [ASPECT_IN_PLACE] = NO_PLACE, [ASPECT_PUSHER] = MANY,
		   [ASPECT_POPPER] = MANY },
};

const struct kind kind_spsc_bursts = {
	.name = "spsc_bursts", TOKENS, SIDES(PUSHER | POPPER), .carries = true,
	.lacks = { [ASPECT_IN_PLACE] = NO_PLACE },
};

const struct kind kind_mpsc_bursts = {
	.name = "mpsc_bursts", TOKENS, SIDES(POPPER), .carries = true,
	.lacks = { [ASPECT_IN_PLACE] = NO_PLACE, [ASPECT_PUSHER] = MANY },
};

const struct kind kind_spmc_bursts = {
	.name = "spmc_bursts", TOKENS, SIDES(PUSHER), .carries = true,
	.lacks = { [ASPECT_IN_PLACE] = NO_PLACE, [ASPECT_POPPER] = MANY },
};

const struct kind kind_mpmc_bursts = {
	.name = "mpmc_bursts", TOKENS, SIDES(0), .carries = true,
	.lacks = { [ASPECT_IN_PLACE] = NO_PLACE, [ASPECT_PUSHER] = MANY,
		   [ASPECT_POPPER] = MANY },
};

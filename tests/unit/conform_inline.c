/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* conform_inline.c - the ring of inline entries for the conformance suite, of several
 * sizes, showing what is peeked at least once and at most once. */

#include "conform.h"

static int create(const struct kind *kind, struct peer *peer, const char *name,
		  uint32_t order)
{
	struct evr_ring_inline_options options = {
		.size = sizeof(options), .name = name, .order = order,
		.entry_bytes = kind->entry_bytes, .flags = kind->flags,
	};

	return evr_ring_inline_create(peer->region, &options);
}

static int take(struct end *end)
{
	return evr_ring_inline_open(end->peer->region, end->name, end->side,
				    end->kind->entry_bytes, &end->cells);
}

static void leave_role(struct end *end)
{
	evr_ring_inline_leave(&end->cells);
}

static uint64_t capacity(const struct end *end)
{
	return evr_ring_inline_capacity(&end->cells);
}

/* A number, and behind it bytes that tell it too: one that is torn is seen. */
static char byte_of(uint64_t number, uint32_t at)
{
	return (char)(number * 31 + at * 7);
}

void write_entries(char *entries, uint32_t bytes, uint64_t first, uint32_t count)
{
	for (uint64_t number = first; number < first + count; number++) {
		memcpy(entries, &number, sizeof(number));
		for (uint32_t i = sizeof(number); i < bytes; i++)
			entries[i] = byte_of(number, i);
		entries += bytes;
	}
}

int read_entries(const char *entries, uint32_t bytes, int count, uint64_t *ret)
{
	for (int k = 0; k < count; k++) {
		memcpy(&ret[k], entries, sizeof(ret[k]));
		for (uint32_t i = sizeof(ret[k]); i < bytes; i++)
			if (entries[i] != byte_of(ret[k], i))
				return -EBADMSG;
		entries += bytes;
	}
	return count;
}

static int push(struct end *end, uint64_t number)
{
	uint32_t bytes = end->kind->entry_bytes;
	char entry[ENTRY_MAX];
	int error = -EAGAIN;

	write_entries(entry, bytes, number, 1);
	UNTIL_FULL(error = evr_ring_inline_try_push(&end->cells, entry, bytes));
	return error;
}

static int pop(struct end *end, uint64_t *ret)
{
	uint32_t bytes = end->kind->entry_bytes;
	char entry[ENTRY_MAX];
	int error = evr_ring_inline_try_pop(&end->cells, entry, bytes);

	if (error < 0)
		return error;
	return read_entries(entry, bytes, 1, ret) < 0 ? -EBADMSG : 0;
}

static int push_some(struct end *end, uint64_t first, uint32_t count)
{
	char entries[SOME_MAX * ENTRY_MAX];
	uint32_t bytes = end->kind->entry_bytes;
	uint32_t done = 0;
	int pushed = 0;

	write_entries(entries, bytes, first, count);
	while (done < count && pushed >= 0) {
		UNTIL_FULL(pushed = evr_ring_inline_push_burst(
					&end->cells, entries + done * bytes, bytes,
					count - done));
		done += pushed > 0 ? (uint32_t)pushed : 0;
	}
	return done ? (int)done : pushed;
}

static int pop_some(struct end *end, uint64_t *ret, uint32_t max)
{
	char entries[SOME_MAX * ENTRY_MAX];
	uint32_t bytes = end->kind->entry_bytes;

	return read_entries(
		entries, bytes,
		evr_ring_inline_pop_burst(&end->cells, entries, bytes, max), ret);
}

static int reserve(struct end *end, uint64_t first, uint32_t count)
{
	uint32_t bytes = end->kind->entry_bytes;
	void *place = NULL;
	int room = -EAGAIN;

	UNTIL_FULL(room = evr_ring_inline_reserve(&end->cells, bytes, count,
						       &place));
	if (room > 0)
		write_entries(place, bytes, first, (uint32_t)room);
	return room;
}

static int commit(struct end *end, uint32_t count)
{
	return evr_ring_inline_commit(&end->cells, end->kind->entry_bytes, count);
}

static int peek(struct end *end, uint64_t *ret, uint32_t max)
{
	uint32_t bytes = end->kind->entry_bytes;
	const void *entries = NULL;
	int shown = evr_ring_inline_peek(&end->cells, bytes, max, &entries);

	return read_entries(entries, bytes, shown, ret);
}

static int release(struct end *end, uint32_t count)
{
	return evr_ring_inline_release(&end->cells, end->kind->entry_bytes, count);
}

static int close_ring(struct end *end)
{
	return evr_ring_inline_close(&end->cells);
}

static int hang_up(struct end *end)
{
	return evr_ring_inline_hang_up(&end->cells);
}

/* Written and not committed; or shown and not released. */
static int hold(struct end *end)
{
	uint64_t number;
	int count = end->side == EVR_RING_PUSHER ? reserve(end, 99, 1) :
						   peek(end, &number, 1);

	return count < 0 ? count : 0;
}

#define INLINE(bytes)                                                                    \
	.family = FAMILY_INLINE, .entry_bytes = (bytes), .holds_no_block = true,         \
	.largest_order = (bytes) > 8 ? 20 : EVR_RING_INLINE_ORDER_MAX,                   \
	.single = EVR_RING_PUSHER | EVR_RING_POPPER, .stranger = -EINVAL,                \
	.pusher_died = -EOWNERDEAD, .second_close = -EINVAL, .close_when_full = 0,       \
	.push_when_closed = -EINVAL, .create = create, .take = take,                     \
	.leave = leave_role, .capacity = capacity, .push = push, .pop = pop,             \
	.push_some = push_some, .pop_some = pop_some, .reserve = reserve,                \
	.commit = commit, .peek = peek, .release = release, .close = close_ring,         \
	.hang_up = hang_up, .hold = hold

#define AT_LEAST_ONCE .fate = FATE_AGAIN
#define AT_MOST_ONCE .fate = FATE_GONE, .flags = EVR_RING_AT_MOST_ONCE

const struct kind kind_inline_8 = { .name = "inline_8", INLINE(8), AT_LEAST_ONCE };
const struct kind kind_inline_24 = { .name = "inline_24", INLINE(24), AT_LEAST_ONCE };
const struct kind kind_inline_64 = { .name = "inline_64", INLINE(64), AT_LEAST_ONCE };
const struct kind kind_inline_256 = { .name = "inline_256", INLINE(256), AT_LEAST_ONCE };

const struct kind kind_once_8 = { .name = "once_8", INLINE(8), AT_MOST_ONCE };
const struct kind kind_once_24 = { .name = "once_24", INLINE(24), AT_MOST_ONCE };
const struct kind kind_once_64 = { .name = "once_64", INLINE(64), AT_MOST_ONCE };
const struct kind kind_once_256 = { .name = "once_256", INLINE(256), AT_MOST_ONCE };

/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * ring_inline.c - making, opening, leaving, and what the inline paths do when they cannot
 * go on. See <evering/ring_inline.h>.
 *
 * Why it is fast:
 *	One line a hop. A popper that waits looks at the word of the cell that the next
 *	entry will lie in. When the line comes, it has both; a ring with an index has to
 *	fetch two lines, one after the other.
 *	Small entries share a line. While the popper is behind, a line with seven entries
 *	of 8 bytes makes one journey for all of them; when it has caught up, the stores of
 *	a pusher that waits for the line collect in its store buffer.
 *	What is freed is told twice: `freed` is stored at each pop, to a line that stays
 *	in the popper's cache; `head` every few entries, for the pusher. He reads `freed`
 *	only when `head` has shown no room for some tries: else, in a ring that is nearly
 *	full, he would be given room for one entry at a time, and that line would travel
 *	with each (measured with the CPUs far apart, 56 bytes: 50 ns an entry instead of
 *	15-25). The pusher fetches the lines that it will write next, for writing, ahead
 *	of time: they are in the popper's cache, and a store that has to wait for one
 *	holds up those behind it.
 */

#include <evering/ring_inline.h>

#include <string.h>

#include "options.h"
#include "region_internal.h"
#include "ring_inline_internal.h"

#define FLAGS_KNOWN EVR_RING_AT_MOST_ONCE

/* At most so many freed entries are not told the pusher, except in the exact word. */
#define BATCH_MAX 32

/* ---- role words ---- */

/* Where it is to be read whether the holder lives: its record; NULL: no such record. */
static const struct evr_atomic_u64 *life_of(const struct evr_region *region,
					    uint64_t word)
{
	uint32_t record = (uint32_t)(word >> 32) & 0xffffffU;

	return record < region->participants_count ? &region->participants[record].word :
						     NULL;
}

static uint64_t alive_word(uint64_t role)
{
	return evr_participant_word(EVR_PARTICIPANT_ALIVE, (uint32_t)role);
}

bool evri_ring_inline_is_held(const struct evr_region *region, uint64_t role)
{
	const struct evr_atomic_u64 *life = life_of(region, role);

	return evri_role_state(role) == EVR_RING_ROLE_HELD && life &&
	       evr_load_acquire_u64(life) == alive_word(role);
}

static struct evr_atomic_u64 *my_role(const struct evr_ring_inline *ring)
{
	return ring->push_bytes ? &ring->shared->pusher : &ring->shared->popper;
}

static const struct evr_atomic_u64 *other_role(const struct evr_ring_inline *ring)
{
	return ring->push_bytes ? &ring->shared->popper : &ring->shared->pusher;
}

/* Takes down who has the other side now. Nobody counts as one who lives; one who has
 * ended the ring as 0, which no word is, so that it is asked for again each time. */
static void meet_other(struct evr_ring_inline *ring)
{
	uint64_t word = evr_load_acquire_u64(other_role(ring));
	const struct evr_atomic_u64 *life = life_of(ring->region, word);

	ring->other = evri_role_state(word) == EVR_RING_ROLE_CLOSED ? 0 : word;
	ring->other_life = other_role(ring);
	ring->other_alive = word;
	if (evri_role_state(word) == EVR_RING_ROLE_HELD && life) {
		ring->other_life = life;
		ring->other_alive = alive_word(word);
	}
}

static uint64_t load_word(const char *cell)
{
	/* SYNC ring-inline/count (acquire), pairs with evri_ring_inline_count(). */
	return evr_load_acquire_u64((const struct evr_atomic_u64 *)(const void *)cell);
}

/* ---- when the paths in the header cannot go on ---- */

/* The entries that may be pushed now, if the popper has freed all before @freed. With no
 * room at hand, ring->position is where the pusher stands: freed is not ahead of it. */
static uint64_t room_of(const struct evr_ring_inline *ring, uint64_t freed)
{
	return freed + ring->capacity - ring->position;
}

static int find_room(struct evr_ring_inline *ring)
{
	/* SYNC ring-inline/head (acquire), pairs with evri_ring_inline_free(). Relaxed:
	 * our next entry could be written before the popper has read the old one. */
	uint64_t room = room_of(ring, evr_load_acquire_u64(&ring->shared->head));

	if (room - 1 < ring->capacity) {
		ring->patience = EVR_RING_INLINE_PATIENCE;
	} else if (ring->patience > 0) {
		ring->patience--;
		room = 0;
	} else {
		/* None, or older news than the exact word gave the last time.
		 * SYNC ring-inline/freed (acquire), pairs with evri_ring_inline_free();
		 * as above. */
		room = room_of(ring, evr_load_acquire_u64(&ring->shared->freed));
	}
	if (room > ring->capacity)
		return -EUCLEAN; /* more than a capacity behind us, or ahead of us */
	ring->at_hand = (uint32_t)room;
	ring->position += room;
	return 0;
}

/* A role changes hands no more often while one looks. */
#define LOOKS_MAX 16

/*
 * What is said to who finds nothing to do: -EAGAIN, the other side is there or may come;
 * -EPIPE, it has ended the ring; -EOWNERDEAD, it was certainly there, and is dead. Nobody
 * who comes, or goes, between two looks is one who died: the role says so.
 */
static int ask_after_other(struct evr_ring_inline *ring)
{
	for (int looks = 0; looks < LOOKS_MAX; looks++) {
		if (looks > 0 || evr_load_acquire_u64(other_role(ring)) != ring->other ||
		    evr_load_acquire_u64(ring->other_life) != ring->other_alive)
			meet_other(ring);
		if (ring->other == 0)
			return -EPIPE;
		if (evr_load_acquire_u64(ring->other_life) == ring->other_alive)
			return -EAGAIN;
		/* Dead, if the role is still his; else somebody came or went. */
		if (evri_role_state(ring->other) == EVR_RING_ROLE_HELD &&
		    evr_load_acquire_u64(other_role(ring)) == ring->other)
			return -EOWNERDEAD;
	}
	return -EAGAIN;
}

int evri_ring_inline_make_room(struct evr_ring_inline *ring)
{
	int error;

	if (evr_load_acquire_u64(&ring->shared->popper) != ring->other)
		meet_other(ring);
	if (ring->other == 0)
		return -EPIPE;
	if (ring->at_hand > 0)
		return 0;
	error = find_room(ring);
	if (error < 0 || ring->at_hand > 0)
		return error;
	return ask_after_other(ring);
}

int evri_ring_inline_look_after(struct evr_ring_inline *ring, uint64_t word)
{
	uint64_t left;
	int error;

	if (ring->told != ring->position) {
		/* SYNC ring-inline/head (release), pairs with find_room(). */
		evr_store_release_u64(&ring->shared->head, ring->position);
		ring->told = ring->position;
	}
	if (EVR_UNLIKELY(!evri_cell_says_nothing_new(word, ring->word,
					   evri_cell_entries(ring->pop_bytes))))
		return -EUCLEAN;
	/* SYNC ring-inline/role (acquire), pairs with evr_ring_inline_close(): what was
	 * pushed before is seen in the cell, if we look after this. */
	if (EVR_LIKELY(evr_load_acquire_u64(&ring->shared->pusher) == ring->other &&
		       evr_load_acquire_u64(ring->other_life) == ring->other_alive))
		return -EAGAIN;

	meet_other(ring);
	error = ask_after_other(ring);
	left = evri_cell_entries(ring->pop_bytes) - (ring->word & EVRI_CELL_COUNT_MASK);
	word = load_word(ring->cell) - ring->word;
	if (word - 1 >= left)
		return error;
	ring->at_hand = (uint32_t)word;
	return 0;
}

/* ---- making ---- */

void evri_ring_inline_init(struct evr_ring_inline_shared *shared, uint32_t entry_bytes,
			   uint32_t order, uint32_t flags)
{
	uint64_t cells = evri_ring_inline_cells(entry_bytes, order);
	uint64_t first = cells * evri_cell_entries(entry_bytes);
	char *cell = (char *)(shared + 1);

	shared->magic = EVR_RING_INLINE_MAGIC;
	shared->entry_bytes = entry_bytes;
	shared->order = order;
	shared->flags = flags;
	evr_store_relaxed_u64(&shared->pusher, evri_role_word(EVR_RING_ROLE_FREE, 0, 0));
	evr_store_relaxed_u64(&shared->popper, evri_role_word(EVR_RING_ROLE_FREE, 0, 0));
	evr_store_relaxed_u64(&shared->freed, EVR_RING_INLINE_FIRST_LAP * first);
	evr_store_relaxed_u64(&shared->shown, EVR_RING_INLINE_FIRST_LAP * first);
	evr_store_relaxed_u64(&shared->head, EVR_RING_INLINE_FIRST_LAP * first);
	for (uint64_t i = 0; i < cells; i++, cell += evri_cell_bytes(entry_bytes))
		evr_store_relaxed_u64((struct evr_atomic_u64 *)(void *)cell,
				      EVR_RING_INLINE_FIRST_LAP * EVRI_CELL_LAP_ONE);
}

int evri_ring_inline_check(uint32_t entry_bytes, uint32_t order, uint32_t flags)
{
	if (entry_bytes == 0 || entry_bytes > EVR_RING_INLINE_ENTRY_MAX)
		return evri_fail(-EINVAL, "entries of %u bytes: 1 to %d possible",
				 entry_bytes, EVR_RING_INLINE_ENTRY_MAX);
	if (order < EVR_RING_INLINE_ORDER_MIN || order > EVR_RING_INLINE_ORDER_MAX)
		return evri_fail(-EINVAL, "ring order %u: %d to %d possible", order,
				 EVR_RING_INLINE_ORDER_MIN, EVR_RING_INLINE_ORDER_MAX);
	if (flags & ~(uint32_t)FLAGS_KNOWN)
		return evri_fail(-EINVAL, "ring flags %#x: %#x possible", flags,
				 FLAGS_KNOWN);
	return 0;
}

int evr_ring_inline_create(struct evr_region *region,
			   const struct evr_ring_inline_options *options)
{
	struct evr_ring_inline_options known = { .size = sizeof(known) };
	struct evri_object object;
	int error = evri_options_take(options, sizeof(options->size), &known,
				      sizeof(known), "inline ring");

	if (error == 0)
		error = evri_ring_inline_check(known.entry_bytes, known.order,
					       known.flags);
	if (error == 0)
		error = evri_directory_reserve(
			region, known.name, EVRI_OBJECT_INLINE_RING,
			evri_ring_inline_bytes(known.entry_bytes, known.order),
			known.range, &object);
	if (error < 0)
		return error;
	evri_ring_inline_init(object.address, known.entry_bytes, known.order,
			      known.flags);
	return evri_directory_publish(region, &object);
}

/* ---- taking a role ---- */

static uint64_t entries_a_lap(const struct evr_ring_inline *ring, uint32_t entry_bytes)
{
	return (uint64_t)(ring->cells_end - ring->cells) / evri_cell_bytes(entry_bytes) *
	       evri_cell_entries(entry_bytes);
}

/* Puts this side where position @position is. */
static void stand_at(struct evr_ring_inline *ring, uint32_t entry_bytes,
		     uint64_t position)
{
	uint32_t per_cell = evri_cell_entries(entry_bytes);
	uint64_t a_lap = entries_a_lap(ring, entry_bytes);
	uint64_t in_lap = position % a_lap;

	ring->cell = ring->cells + in_lap / per_cell * evri_cell_bytes(entry_bytes);
	ring->word = position / a_lap * EVRI_CELL_LAP_ONE + in_lap % per_cell;
}

/* How many entries of the cell @cells_on cells after the one of @position count in the
 * lap in which they come after it. */
static uint32_t counted(const struct evr_ring_inline *ring, uint32_t entry_bytes,
			uint64_t position, uint64_t cells_on)
{
	uint32_t per_cell = evri_cell_entries(entry_bytes);
	struct evr_ring_inline at = *ring;
	uint64_t word;

	stand_at(&at, entry_bytes, (position / per_cell + cells_on) * per_cell);
	word = load_word(at.cell) - at.word;
	return word <= per_cell ? (uint32_t)word : 0;
}

/*
 * Where the next entry goes, behind @freed: cells are begun one after the other, so those
 * of this lap and those of the lap before meet at one place, which is found by halving.
 */
static int find_tail(const struct evr_ring_inline *ring, uint32_t entry_bytes,
		     uint64_t freed, uint64_t *ret)
{
	uint32_t per_cell = evri_cell_entries(entry_bytes);
	uint64_t begun = 0, not_begun = entries_a_lap(ring, entry_bytes) / per_cell;
	uint64_t tail;

	if (counted(ring, entry_bytes, freed, 0) == 0) {
		/* Nothing in the very cell: so freed is where it begins. */
		struct evr_ring_inline at = *ring;

		stand_at(&at, entry_bytes, freed);
		*ret = freed;
		if (freed % per_cell == 0 &&
		    evri_cell_says_nothing_new(load_word(at.cell), at.word, per_cell))
			return 0;
		return -EUCLEAN;
	}
	while (not_begun - begun > 1) {
		uint64_t middle = begun + (not_begun - begun) / 2;

		if (counted(ring, entry_bytes, freed, middle) > 0)
			begun = middle;
		else
			not_begun = middle;
	}
	tail = (freed / per_cell + begun) * per_cell +
	       counted(ring, entry_bytes, freed, begun);
	if (tail - freed > ring->capacity)
		return -EUCLEAN;
	*ret = tail;
	return 0;
}

static int begin_to_push(struct evr_ring_inline *ring, uint32_t entry_bytes)
{
	uint64_t freed = evr_load_acquire_u64(&ring->shared->freed);
	uint64_t tail;
	int error = find_tail(ring, entry_bytes, freed, &tail);

	if (error < 0)
		return error;
	stand_at(ring, entry_bytes, tail);
	ring->position = tail;
	ring->push_bytes = entry_bytes;
	return find_room(ring);
}

static int begin_to_pop(struct evr_ring_inline *ring, uint32_t entry_bytes)
{
	uint64_t freed = evr_load_acquire_u64(&ring->shared->freed);

	if (ring->flags & EVR_RING_AT_MOST_ONCE) {
		/* SYNC ring-inline/shown (acquire), pairs with evr_ring_inline_peek(). */
		uint64_t shown = evr_load_acquire_u64(&ring->shared->shown);

		if (shown > freed && shown - freed <= ring->capacity)
			freed = shown;
	}
	stand_at(ring, entry_bytes, freed);
	ring->position = freed;
	ring->told = freed;
	evr_store_release_u64(&ring->shared->freed, freed);
	evr_store_release_u64(&ring->shared->head, freed);
	ring->pop_bytes = entry_bytes;
	return 0;
}

/* The role from one who is certainly dead, or from nobody. */
int evri_ring_inline_claim(struct evr_region *region, struct evr_atomic_u64 *role,
			   uint64_t *ret)
{
	uint64_t mine =
		evri_role_word(EVR_RING_ROLE_HELD, region->record, region->number);
	uint64_t word = evr_load_acquire_u64(role);

	if (evri_role_state(word) == EVR_RING_ROLE_CLOSED)
		return -EPIPE;
	if (evri_ring_inline_is_held(region, word))
		(void)evr_participant_find_dead(region);
	if (evri_ring_inline_is_held(region, word))
		return evri_fail(-EBUSY, "participant %u has this role", (uint32_t)word);
	/* SYNC ring-inline/role (acq_rel), pairs with evr_ring_inline_leave(): what the
	 * holder before stored in the ring is seen. */
	if (!evr_cas_acq_rel_u64(role, &word, mine))
		return evri_fail(-EBUSY, "participant %u was faster", (uint32_t)word);
	*ret = mine;
	return 0;
}

int evri_ring_inline_bind(struct evr_region *region,
			  struct evr_ring_inline_shared *shared, uint64_t bytes,
			  uint32_t entry_bytes, struct evr_ring_inline *ret)
{
	struct evr_ring_inline_shared header;

	if (bytes < sizeof(header))
		return -EUCLEAN;
	header.magic = evr_plain_load_u64(&shared->magic);
	header.entry_bytes = evr_plain_load_u32(&shared->entry_bytes);
	header.order = evr_plain_load_u32(&shared->order);
	header.flags = evr_plain_load_u32(&shared->flags);
	if (header.magic != EVR_RING_INLINE_MAGIC || header.entry_bytes == 0 ||
	    header.entry_bytes > EVR_RING_INLINE_ENTRY_MAX ||
	    header.order < EVR_RING_INLINE_ORDER_MIN ||
	    header.order > EVR_RING_INLINE_ORDER_MAX ||
	    evri_ring_inline_bytes(header.entry_bytes, header.order) > bytes)
		return evri_fail(-EUCLEAN, "the header of the ring contradicts itself");
	if (header.flags & ~(uint32_t)FLAGS_KNOWN)
		return evri_fail(-EPROTO, "the ring has unknown flags %#x", header.flags);
	if (entry_bytes && header.entry_bytes != entry_bytes)
		return evri_fail(-EPROTO, "entries of the ring have %u bytes, not %u",
				 header.entry_bytes, entry_bytes);

	uint64_t cells = evri_ring_inline_cells(header.entry_bytes, header.order);
	char *first = (char *)(shared + 1);
	*ret = (struct evr_ring_inline){
		.shared = shared,
		.cells = first,
		.cells_end = first + cells * evri_cell_bytes(header.entry_bytes),
		.capacity = UINT64_C(1) << header.order,
		.batch = header.order < 7 ? 1U << header.order >> 2 : BATCH_MAX,
		.flags = header.flags,
		.region = region,
	};
	if (ret->batch == 0)
		ret->batch = 1;
	return (int)header.entry_bytes;
}

int evri_ring_inline_take(struct evr_ring_inline *ring, uint32_t role,
			  uint32_t entry_bytes)
{
	struct evr_atomic_u64 *word = role == EVR_RING_PUSHER ? &ring->shared->pusher :
								&ring->shared->popper;
	int error = evri_ring_inline_claim(ring->region, word, &ring->mine);

	if (error < 0)
		return error;
	error = role == EVR_RING_PUSHER ? begin_to_push(ring, entry_bytes) :
					  begin_to_pop(ring, entry_bytes);
	if (error < 0) {
		uint64_t mine = ring->mine;

		evr_cas_acq_rel_u64(word, &mine,
				    evri_role_word(EVR_RING_ROLE_FREE, 0, 0));
		return evri_fail(error, "the cells of the ring contradict its header");
	}
	meet_other(ring);
	return 0;
}

int evr_ring_inline_open(struct evr_region *region, const char *name,
			 uint32_t role, uint32_t entry_bytes,
			 struct evr_ring_inline *ret)
{
	struct evr_ring_inline ring;
	struct evri_object object;
	int error;

	if (region->read_only)
		return evri_fail(-EROFS, "the region is attached for reading");
	if (role != EVR_RING_PUSHER && role != EVR_RING_POPPER)
		return evri_fail(-EINVAL, "there is no role %d", (int)role);
	error = evri_directory_find(region, name, EVRI_OBJECT_INLINE_RING, &object);
	if (error < 0)
		return error;
	error = evri_ring_inline_bind(region, object.address, object.bytes, entry_bytes,
				      &ring);
	if (error > 0)
		error = evri_ring_inline_take(&ring, role, (uint32_t)error);
	if (error < 0)
		return error;
	*ret = ring;
	return 0;
}

/* ---- giving it back ---- */

/* Nothing goes through this end any more. */
static void end(struct evr_ring_inline *ring, uint32_t state)
{
	uint64_t mine = ring->mine;

	if (mine == 0)
		return;
	if (ring->pop_bytes)
		evr_store_release_u64(&ring->shared->head, ring->position);
	/* SYNC ring-inline/role (release), pairs with evri_ring_inline_claim() and with
	 * evri_ring_inline_look_after(): what we pushed or freed is seen. */
	evr_cas_acq_rel_u64(my_role(ring), &mine,
			    state == EVR_RING_ROLE_FREE ?
				    evri_role_word(state, 0, 0) :
				    evri_role_word(state, ring->region->record,
					      ring->region->number));
	ring->mine = 0;
	ring->push_bytes = 0;
	ring->pop_bytes = 0;
	ring->at_hand = 0;
}

void evr_ring_inline_leave(struct evr_ring_inline *ring)
{
	end(ring, EVR_RING_ROLE_FREE);
}

int evr_ring_inline_close(struct evr_ring_inline *ring)
{
	if (ring->push_bytes == 0)
		return -EINVAL;
	end(ring, EVR_RING_ROLE_CLOSED);
	return 0;
}

int evr_ring_inline_hang_up(struct evr_ring_inline *ring)
{
	if (ring->pop_bytes == 0)
		return -EINVAL;
	end(ring, EVR_RING_ROLE_CLOSED);
	return 0;
}

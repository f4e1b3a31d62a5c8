/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* conform_order.c - what holds for queues in one process: order, room, bursts, entries in
 * place, the end. Lists of which kind is tried with what: conform_rings.c. */

#include "conform.h"

#define ORDER 3
#define LAPS 2000

void its_entries_come_out_in_order_over_many_laps(const struct kind *kind)
{
	struct world world;
	uint64_t seed = 7;

	make_world(&world, kind, ORDER);
	while (world.pushed < LAPS * world.capacity) {
		uint64_t some = next_random(&seed) % (world.capacity + 1);

		while (some-- && world.pushed - world.popped < world.capacity)
			MUST(push_next(&world));
		some = next_random(&seed) % (world.capacity + 1);
		while (some-- && world.popped < world.pushed)
			pop_next(&world);
	}
	drain(&world);
	is_empty(&world);
	end_world(&world);
}

/* A submission ring says nowhere how much it holds. */
static void says_its_capacity(struct world *world)
{
	uint64_t said = world->kind->capacity(&world->push[0]);

	cr_assert(said == world->capacity || world->kind == &kind_submission,
		  "it says %llu", (unsigned long long)said);
}

void it_holds_exactly_its_capacity_in_every_order(const struct kind *kind)
{
	for (uint32_t order = 1; order <= 7; order++) {
		struct world world;

		make_world(&world, kind, order);
		says_its_capacity(&world);
		/* From another place in the ring each time. */
		for (uint64_t round = 0; round < world.capacity + 9; round++) {
			fill_up(&world);
			for (uint64_t i = 0; i <= round % world.capacity; i++)
				pop_next(&world);
			fill_up(&world);
			if (round % 3 == 0)
				drain(&world);
		}
		drain(&world);
		is_empty(&world);
		end_world(&world);
	}
}

void an_empty_one_says_so_at_every_place(const struct kind *kind)
{
	struct world world;

	make_world(&world, kind, ORDER);
	for (uint64_t i = 0; i < 9 * world.capacity; i++) {
		is_empty(&world);
		MUST(push_next(&world));
		pop_next(&world);
	}
	is_empty(&world);
	end_world(&world);
}

/* A full slot of a ring of blocks tells 15 bits of its lap. */
void it_goes_on_when_the_laps_of_a_slot_come_round(const struct kind *kind)
{
	struct world world;

	make_world(&world, kind, 1);
	MUST(push_next(&world));
	while (world.pushed < (UINT64_C(2) << EVR_SLOT_LAP_BITS) + 9) {
		if (world.capacity > 1)
			MUST(push_next(&world));
		pop_next(&world);
		if (world.capacity == 1)
			MUST(push_next(&world));
	}
	drain(&world);
	is_empty(&world);
	end_world(&world);
}

/* ---- against a model ---- */

/* An array that entries are put behind and taken off in front. A place is what one entry
 * takes, or in kinds that carry, all that one burst carries: taken, it is free. */
struct model {
	uint64_t capacity;
	uint64_t places;
	uint64_t head, tail;
	bool first_of_place[1 << 16]; /* of the entry with this number */
};

static bool model_push(struct model *model, uint32_t count)
{
	if (model->places == model->capacity)
		return false;
	model->places++;
	model->first_of_place[model->tail] = true;
	model->tail += count;
	return true;
}

static void model_pop(struct model *model)
{
	model->places -= model->first_of_place[model->head];
	model->head++;
}

/* How many of @count are pushed by one call. */
static int model_push_some(struct model *model, const struct kind *kind, uint32_t count)
{
	uint32_t done = 0;

	while (done < count) {
		uint32_t now = kind->carries ? count - done : 1;

		if (now > EVR_RING_BURST_DEFAULT)
			now = EVR_RING_BURST_DEFAULT;
		if (now < EVR_RING_BURST_MIN)
			now = 1;
		if (!model_push(model, now))
			break;
		done += now;
	}
	return done ? (int)done : -EAGAIN;
}

struct course {
	struct world world;
	struct model model;
	uint64_t seed, from;
	uint64_t step;
};

#define AGREE(course, expected, call)                                                    \
	__extension__({                                                                  \
		int evrt_expected = (expected);                                          \
		int evrt_found = (call);                                                 \
		cr_assert_eq(evrt_found, evrt_expected,                                  \
			     "%s: %d, the model says %d; step %llu of EVR_SEED=%llu",    \
			     #call, evrt_found, evrt_expected,                           \
			     (unsigned long long)(course)->step,                         \
			     (unsigned long long)(course)->from);                        \
		evrt_found;                                                              \
	})

static void step_push(struct course *course, struct end *end)
{
	const struct kind *kind = course->world.kind;
	struct model *model = &course->model;
	uint64_t first = model->tail;
	uint32_t count = 1 + (uint32_t)(next_random(&course->seed) % SOME_MAX);
	int room;

	switch (next_random(&course->seed) % 3) {
	case 0:
		AGREE(course, model_push(model, 1) ? 0 : -EAGAIN, kind->push(end, first));
		return;
	case 1:
		if (kind->push_some)
			AGREE(course, model_push_some(model, kind, count),
			      kind->push_some(end, first, count));
		return;
	default:
		if (!kind->reserve)
			return;
		/* How much lies in one piece is for the queue to say. */
		room = kind->reserve(end, first, count);
		if (room <= 0) {
			AGREE(course, -EAGAIN, room);
			cr_assert_eq(model->places, model->capacity);
			return;
		}
		count = 1 + (uint32_t)next_random(&course->seed) % (uint32_t)room;
		AGREE(course, (int)count, model_push_some(model, kind, count));
		AGREE(course, 0, kind->commit(end, count));
	}
}

static void step_pop(struct course *course, struct end *end)
{
	const struct kind *kind = course->world.kind;
	struct model *model = &course->model;
	uint64_t left = model->tail - model->head;
	uint32_t max = 1 + (uint32_t)(next_random(&course->seed) % SOME_MAX);
	uint64_t numbers[SOME_MAX] = { 0 };
	int popped = 0;

	switch (next_random(&course->seed) % 3) {
	case 0:
		popped = 1 + AGREE(course, left ? 0 : -EAGAIN, kind->pop(end, numbers));
		break;
	case 1:
		if (kind->pop_some)
			popped = AGREE(course,
				       !left ? -EAGAIN : (int)(left < max ? left : max),
				       kind->pop_some(end, numbers, max));
		break;
	default:
		if (!kind->peek)
			break;
		popped = kind->peek(end, numbers, max);
		if (popped <= 0) {
			AGREE(course, -EAGAIN, popped);
			cr_assert_eq(left, 0);
			break;
		}
		popped = 1 + (int)(next_random(&course->seed) % (uint64_t)popped);
		AGREE(course, 0, kind->release(end, (uint32_t)popped));
	}
	for (int i = 0; i < popped; i++) {
		AGREE(course, (int)model->head, (int)numbers[i]);
		model_pop(model);
	}
}

void random_sequences_of_calls_agree_with_a_model(const struct kind *kind)
{
	const char *wanted = getenv("EVR_SEED");
	uint64_t from = wanted ? strtoull(wanted, NULL, 0) : now_ns();
	static struct course course;
	uint64_t seed = from;

	printf("%s: EVR_SEED=%llu repeats this\n", kind->name, (unsigned long long)from);
	fflush(stdout);
	for (uint32_t order = 1; order <= 6; order++) {
		memset(&course, 0, sizeof(course));
		course.from = from;
		course.seed = next_random(&seed);
		make_world(&course.world, kind, order);
		course.model.capacity = course.world.capacity;
		while (course.model.tail < COUNT_OF(course.model.first_of_place) - 4096 &&
		       course.step++ < 6000) {
			uint64_t which = next_random(&course.seed);
			/* It is near full for a while, then near empty. */
			bool pushes = which % 16 < (course.step >> 6 & 1 ? 10 : 6);

			if (pushes)
				step_push(&course, &course.world.push[(which >> 32) %
						course.world.pushers]);
			else
				step_pop(&course, &course.world.pop[(which >> 32) %
						course.world.poppers]);
		}
		course.world.popped = course.model.head;
		course.world.pushed = course.model.tail;
		drain(&course.world);
		is_empty(&course.world);
		end_world(&course.world);
	}
}

/* ---- sizes and names ---- */

static void make_and_use(const struct kind *kind, uint32_t order)
{
	struct world world;

	make_world(&world, kind, order);
	says_its_capacity(&world);
	for (int i = 0; i < 300; i++) {
		is_empty(&world);
		MUST(push_next(&world));
		pop_next(&world);
	}
	if (kind->holds_no_block) {
		fill_up(&world);
		drain(&world);
		fill_up(&world);
		drain(&world);
	}
	is_empty(&world);
	end_world(&world);
}

void the_smallest_and_the_largest_are_made_and_used(const struct kind *kind)
{
	make_and_use(kind, 1);
	make_and_use(kind, 20);
	if (kind->largest_order > 20)
		make_and_use(kind, kind->largest_order);
}

void another_kind_of_object_by_its_name_is_refused(const struct kind *kind)
{
	const struct kind *other;
	struct world world;
	int refused = 0;

	make_world(&world, kind, ORDER);
	for (size_t i = 0; (other = kind_of(i)); i++) {
		struct end end;

		if (other->family == kind->family)
			continue;
		FAILS(-EPROTO, join(&end, other, &world.guest, "queue", EVR_RING_PUSHER));
		FAILS(-EPROTO, join(&end, other, &world.guest, "queue", EVR_RING_POPPER));
		FAILS(-ENOENT, join(&end, other, &world.guest, "queu", EVR_RING_POPPER));
		FAILS(-EEXIST, other->create(other, &world.guest, "queue", ORDER));
		refused++;
	}
	cr_assert_gt(refused, 0);
	end_world(&world);
}

/* ---- bursts ---- */

void a_burst_goes_as_far_as_there_is_room_and_as_there_are_entries(
	const struct kind *kind)
{
	uint64_t numbers[SOME_MAX];
	struct world world;

	make_world(&world, kind, ORDER);
	for (uint64_t free = 1; free < world.capacity; free++) {
		/* In kinds that carry, two are not carried. */
		uint32_t more = kind->carries ? 2 : SOME_MAX;
		uint64_t room = free < more ? free : more;
		int got;

		while (world.capacity - (world.pushed - world.popped) > free)
			MUST(push_next(&world));
		got = MUST(kind->push_some(&world.push[0], world.pushed, more));
		cr_assert_eq((uint64_t)got, room, "%d of %u, room for %d", got, more,
			     (int)room);
		world.pushed += room;
		fill_up(&world);
		FAILS(-EAGAIN, kind->push_some(&world.push[0], world.pushed, more));
		for (uint64_t left = world.capacity; left; left -= (uint64_t)got) {
			uint32_t max = left > 3 ? (uint32_t)left - 3 : SOME_MAX;

			got = MUST(kind->pop_some(&world.pop[0], numbers, max));
			cr_assert_eq((uint64_t)got, left < max ? left : max);
			for (int i = 0; i < got; i++)
				cr_assert_eq(numbers[i], world.popped++);
		}
		FAILS(-EAGAIN, kind->pop_some(&world.pop[0], numbers, SOME_MAX));
	}
	cr_assert_eq(kind->push_some(&world.push[0], world.pushed, 0), 0);
	cr_assert_eq(kind->pop_some(&world.pop[0], numbers, 0), 0);
	end_world(&world);
}

void bursts_and_single_entries_mix_in_order(const struct kind *kind)
{
	uint64_t numbers[SOME_MAX];
	struct world world;

	make_world(&world, kind, ORDER);
	for (int round = 0; round < 500; round++) {
		uint32_t some = 1 + (uint32_t)round % 5;

		MUST(push_next(&world));
		cr_assert_eq(MUST(kind->push_some(&world.push[0], world.pushed, some)),
			     (int)some);
		world.pushed += some;
		MUST(push_next(&world));
		pop_next(&world);
		cr_assert_eq(MUST(kind->pop_some(&world.pop[0], numbers, 1)), 1);
		cr_assert_eq(numbers[0], world.popped++);
		if (round % 2)
			pop_next(&world);
		some = (uint32_t)(world.pushed - world.popped);
		if (some)
			cr_assert_eq(MUST(kind->pop_some(&world.pop[0], numbers,
							 SOME_MAX)), (int)some);
		for (uint32_t i = 0; i < some; i++)
			cr_assert_eq(numbers[i], world.popped++);
	}
	end_world(&world);
}

/* ---- in place ---- */

void what_is_reserved_is_seen_when_it_is_committed_and_no_sooner(const struct kind *kind)
{
	struct end *end;
	struct world world;

	make_world(&world, kind, ORDER);
	end = &world.push[0];
	for (uint32_t round = 0; round < 200; round++) {
		int room = MUST(kind->reserve(end, world.pushed, 5));

		cr_assert(room >= 1 && room <= 5, "%d", room);
		is_empty(&world);
		/* Again it is the same room; and what is wrong leaves it there. */
		cr_assert_eq(kind->reserve(end, world.pushed, 5), room);
		FAILS(-EINVAL, kind->commit(end, 0));
		FAILS(-EINVAL, kind->commit(end, 60));
		is_empty(&world);
		room -= room > 1 ? (int)(round % 2) : 0;
		MUST(kind->commit(end, (uint32_t)room));
		world.pushed += (uint32_t)room;
		drain(&world);
	}
	fill_up(&world);
	FAILS(-EAGAIN, kind->reserve(end, 0, 1));
	FAILS(-EINVAL, kind->commit(end, 1));
	drain(&world);
	end_world(&world);
}

void what_is_peeked_stays_until_it_is_released(const struct kind *kind)
{
	uint64_t numbers[SOME_MAX];
	struct end *end;
	struct world world;

	make_world(&world, kind, 2);
	end = &world.pop[0];
	FAILS(-EAGAIN, kind->peek(end, numbers, 3));
	for (uint32_t round = 0; round < 200; round++) {
		int shown;

		fill_up(&world);
		shown = MUST(kind->peek(end, numbers, 3));
		cr_assert(shown >= 1 && shown <= 3, "%d", shown);
		cr_assert_eq(kind->peek(end, numbers, 3), shown);
		FAILS(-EINVAL, kind->release(end, 0));
		FAILS(-EINVAL, kind->release(end, 60));
		FAILS(-EAGAIN, kind->push(&world.push[0], world.pushed));
		shown -= shown > 1 ? (int)(round % 2) : 0;
		for (int i = 0; i < shown; i++)
			cr_assert_eq(numbers[i], world.popped++);
		MUST(kind->release(end, (uint32_t)shown));
	}
	drain(&world);
	FAILS(-EINVAL, kind->release(end, 1));
	end_world(&world);
}

/* ---- the end ---- */

static void ends(struct world *world)
{
	for (int i = 0; i < 2; i++) {
		for (uint32_t k = 0; k < world->pushers; k++)
			FAILS(world->kind->push_when_closed,
			      world->kind->push(&world->push[k], 0));
		drain(world);
		says(world, -EPIPE);
	}
}

void a_closed_one_lets_nothing_in_and_everything_out(const struct kind *kind)
{
	for (uint64_t held = 0; held < 1 << ORDER; held++) {
		struct world world;
		struct end late;
		uint64_t number;

		make_world(&world, kind, ORDER);
		while (world.pushed < 5)
			MUST(push_next(&world));
		drain(&world);
		while (world.pushed < 5 + held)
			MUST(push_next(&world));
		MUST(kind->close(&world.push[0]));
		ends(&world);
		/* One who comes now sees it too. */
		if (kind->single & EVR_RING_PUSHER) {
			leave(&world.push[0]);
			world.pushers = 0;
			FAILS(-EPIPE, join(&late, kind, &world.guest, "queue",
					   EVR_RING_PUSHER));
		}
		if (kind->single & EVR_RING_POPPER) {
			leave(&world.pop[0]);
			MUST(join(&world.pop[0], kind, &world.house, "queue",
				  EVR_RING_POPPER));
		} else {
			MUST(join(&late, kind, &world.house, "queue", EVR_RING_POPPER));
			FAILS(-EPIPE, kind->pop(&late, &number));
			leave(&late);
		}
		ends(&world);
		end_world(&world);
	}
}

void closing_it_again_changes_nothing(const struct kind *kind)
{
	struct world world;

	make_world(&world, kind, ORDER);
	MUST(push_next(&world));
	MUST(kind->close(&world.push[0]));
	for (uint64_t i = 0; i < 3 * world.capacity; i++)
		FAILS(kind->second_close, kind->close(&world.push[0]));
	ends(&world);
	FAILS(kind->second_close, kind->close(&world.push[0]));
	ends(&world);
	end_world(&world);
}

void a_full_one_is_closed_when_there_is_room_for_that(const struct kind *kind)
{
	struct world world;

	make_world(&world, kind, ORDER);
	fill_up(&world);
	FAILS(kind->close_when_full, kind->close(&world.push[0]));
	pop_next(&world);
	if (kind->close_when_full < 0)
		MUST(kind->close(&world.push[0]));
	ends(&world);
	end_world(&world);
}

void nothing_more_is_pushed_to_a_popper_who_hung_up(const struct kind *kind)
{
	struct world world;

	make_world(&world, kind, ORDER);
	fill_up(&world);
	drain(&world);
	MUST(push_next(&world));
	pop_next(&world);
	MUST(kind->hang_up(&world.pop[0]));
	for (int i = 0; i < 2; i++)
		for (uint32_t k = 0; k < world.pushers; k++)
			FAILS(-EPIPE, kind->push(&world.push[k], world.pushed));
	end_world(&world);
}

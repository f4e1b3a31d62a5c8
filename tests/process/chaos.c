/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * chaos.c - requests under random SIGKILLs and SIGSTOPs.
 *
 * A *parent* makes the region, starts workers (completers) and bystanders (who allocate,
 * free, and use a bare ring), and submits requests that contain an input and an output
 * block each. All of these are killed at random, the parent too, and a second submitter
 * and a second completer live on through it all. A supervisor, which only holds the
 * region's descriptor, does the killing, starts successors, and audits the words at the
 * end. The two immortals see whether anything is lost, comes twice, or comes late.
 */

#include "chaos.h"

#define WINDOW 16
#define INPUT_BYTES 1024
#define SIDE_RING "side"
#define PATIENCE_NS (20 * SECOND_NS)

enum {
	COUNT_ANSWERED,
	COUNT_CAME_BACK, /* with -EOWNERDEAD */
	COUNT_HOMELESS,  /* answers to a dead submitter */
	COUNT_ALLOCATED,
};

static const struct evr_pool_class classes[] = {
	{ 64, 320, 0 },
	{ INPUT_BYTES, 256, 0 },
};

static const struct chaos_part parts[] = {
	{ "parent", true, false },
	{ "submitter", false, false },
	{ "completer", false, false },
	{ "worker", true, true },
	{ "worker", true, true },
	{ "bystander", true, true },
	{ "bystander", true, true },
};

struct message {
	uint64_t sender; /* its incarnation */
	uint64_t operation;
	uint64_t key; /* of the input's bytes */
	uint64_t answer;
};

static uint64_t sum_of(const uint64_t *words)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < INPUT_BYTES / 8; i++)
		sum = sum * 31 + words[i];
	return sum;
}

static void fill(uint64_t *words, uint64_t key)
{
	int i;

	for (i = 0; i < INPUT_BYTES / 8; i++)
		words[i] = next_random(&key);
}

/* ---- submitters ---- */

/* A question that is under way. A stopped worker may keep one while 100 000 others are
 * answered, so the place in the table is part of the operation's number. */
struct question {
	uint64_t operation; /* 0: none */
	uint64_t answer;
};

struct asking {
	struct view *view;
	struct evr_submitter *submitter;
	uint64_t asked;
	uint64_t random;
	struct question questions[WINDOW];
};

static uint64_t new_question(struct asking *asking, uint64_t answer)
{
	uint64_t place = 0;

	while (asking->questions[place].operation)
		if (++place == WINDOW)
			chaos_fault("more questions than the window");
	asking->questions[place].operation = ++asking->asked * WINDOW + place;
	asking->questions[place].answer = answer;
	return asking->questions[place].operation;
}

static bool build_request(struct asking *asking, struct evr_request *ret)
{
	struct evr_agent *agent = &asking->view->agent;
	struct evr_block input, output;
	struct message *message;
	uint64_t key = next_random(&asking->random);

	if (!chaos_alloc(agent, sizeof(*message), &ret->block))
		return false;
	if (!chaos_alloc(agent, INPUT_BYTES, &input)) {
		chaos_free(agent, ret->block.token);
		return false;
	}
	if (!chaos_alloc(agent, INPUT_BYTES, &output)) {
		chaos_free(agent, input.token);
		chaos_free(agent, ret->block.token);
		return false;
	}
	fill(input.payload, key);
	if (evr_block_contain(agent, ret->block.token, input.token) != 0 ||
	    evr_block_contain(agent, ret->block.token, output.token) != 1)
		chaos_fault("contain failed");
	message = ret->block.payload;
	message->sender = my_incarnation;
	message->operation = new_question(asking, sum_of(input.payload));
	message->key = key;
	message->answer = 0;
	ret->operation = message->operation;
	ret->length_bytes = sizeof(*message);
	ret->attempts = 0;
	return true;
}

static void send_request(struct asking *asking, const struct evr_request *request)
{
	int error;

	let_go_all(&asking->view->agent, request->block.token, "submit");
	error = evr_submitter_submit(asking->submitter, request, now_ns() + PATIENCE_NS);
	if (error < 0)
		chaos_fault("submit gave %d", error);
}

/* Our question is intact, whoever died over it. */
static void check_question(struct asking *asking, const struct evr_completion *completion)
{
	const struct message *message = completion->block.payload;
	uint64_t words[INPUT_BYTES / 8];
	struct evr_block input;

	if (message->sender != my_incarnation ||
	    message->operation != completion->operation)
		chaos_fault("operation %llu came home with the content of %llu",
			    (unsigned long long)completion->operation,
			    (unsigned long long)message->operation);
	if (evr_block_content(&asking->view->agent, completion->block.token, 0, &input) <
	    0)
		chaos_fault("operation %llu came home without its input",
			    (unsigned long long)completion->operation);
	fill(words, message->key);
	if (memcmp(words, input.payload, INPUT_BYTES) != 0)
		chaos_fault("the input of operation %llu was changed",
			    (unsigned long long)completion->operation);
}

static void take_answer(struct asking *asking)
{
	struct evr_agent *agent = &asking->view->agent;
	struct evr_completion completion;
	const struct message *message;
	struct question *question;
	struct evr_block output;
	int error = evr_submitter_reap(asking->submitter, &completion,
				       now_ns() + PATIENCE_NS);

	if (error < 0)
		chaos_fault("%u requests of %llu are lost: reap gave %d",
			    evr_submitter_in_flight(asking->submitter),
			    (unsigned long long)my_incarnation, error);
	hold_all(agent, completion.block.token, "reap");
	question = &asking->questions[completion.operation % WINDOW];
	if (question->operation != completion.operation)
		chaos_fault("operation %llu was answered twice (status %d, attempt %u)",
			    (unsigned long long)completion.operation, completion.status,
			    completion.attempts);
	check_question(asking, &completion);
	if (completion.status == -EOWNERDEAD) {
		struct evr_request again = { .block = completion.block,
					     .operation = completion.operation,
					     .length_bytes = sizeof(struct message),
					     .attempts = completion.attempts + 1 };

		count(COUNT_CAME_BACK);
		send_request(asking, &again);
		return;
	}
	message = completion.block.payload;
	if (completion.status != 0 || message->answer != question->answer ||
	    evr_block_content(agent, completion.block.token, 1, &output) < 0 ||
	    *(uint64_t *)output.payload != message->answer)
		chaos_fault("operation %llu: status %d, and an answer that is none",
			    (unsigned long long)completion.operation, completion.status);
	question->operation = 0;
	count(COUNT_ANSWERED);
	progress();
	chaos_free(agent, completion.block.token);
}

static void submit_all(struct view *view, uint64_t seed)
{
	static struct asking asking;
	struct evr_request request;

	asking.view = view;
	asking.random = seed;
	if (evr_submitter_open(view->uring, &view->agent, NULL, &asking.submitter) < 0)
		chaos_fault("no home for a submitter: %s", evr_error_detail());
	chaos_working();
	while (!stop_wanted()) {
		while (evr_submitter_in_flight(asking.submitter) < WINDOW &&
		       build_request(&asking, &request))
			send_request(&asking, &request);
		if (evr_submitter_in_flight(asking.submitter) > 0) {
			take_answer(&asking);
		} else {
			/* The dead have all blocks. */
			(void)evr_recover(&view->agent, NULL);
			sched_yield();
		}
	}
	while (evr_submitter_in_flight(asking.submitter) > 0)
		take_answer(&asking);
	evr_submitter_close(asking.submitter);
}

/* ---- completers ---- */

static void answer(struct view *view, struct evr_completer *completer,
		   const struct evr_request *request)
{
	struct message *message = request->block.payload;
	struct evr_block input, output;
	int error;

	if (evr_block_content(&view->agent, request->block.token, 0, &input) < 0 ||
	    evr_block_content(&view->agent, request->block.token, 1, &output) < 0)
		chaos_fault("a request came without its contents");
	if (message->operation != request->operation)
		chaos_fault("a request came with another one's content");
	message->answer = sum_of(input.payload);
	*(uint64_t *)output.payload = message->answer;
	let_go_all(&view->agent, request->block.token, "complete");
	error = evr_completer_complete(completer, request->block.token, 0,
				       sizeof(*message));
	if (error == -EPIPE)
		count(COUNT_HOMELESS);
	else if (error < 0)
		chaos_fault("complete gave %d", error);
}

static void complete_all(struct view *view, uint64_t seed)
{
	struct evr_completer *completer;
	struct evr_request requests[3];
	uint32_t held = 0;

	if (evr_completer_open(view->uring, &view->agent, NULL, &completer) < 0)
		chaos_fault("no completer: %s", evr_error_detail());
	chaos_working();
	while (stop_wanted() < 2 || held > 0) {
		int error = evr_completer_receive(completer, &requests[held],
						  now_ns() + 200 * MILLISECOND_NS);

		if (error == 0) {
			hold_all(&view->agent, requests[held++].block.token, "receive");
			progress();
			if (next_random(&seed) % 16 == 0)
				sleep_us(next_random(&seed) % 300);
		} else if (error != -ETIMEDOUT) {
			chaos_fault("receive gave %d", error);
		}
		/* Mostly at once, sometimes up to three and the last one first. */
		while (held == COUNT_OF(requests) ||
		       (held > 0 && (error < 0 || next_random(&seed) % 4)))
			answer(view, completer, &requests[--held]);
	}
	evr_completer_close(completer);
}

/* ---- bystanders ---- */

static void push_or_pop(struct view *view, struct evr_ring *ring, uint64_t random)
{
	struct evr_block block;
	int error;

	if (random & 1) {
		if (!chaos_alloc(&view->agent, 64, &block))
			return;
		let_go(block.token, "push");
		error = evr_ring_try_push(ring, &view->agent, block.token);
		if (error == 0)
			return;
		if (error != -EAGAIN)
			chaos_fault("push gave %d", error);
		hold(block.token, "failed push");
	} else {
		error = evr_ring_try_pop(ring, &view->agent, &block);
		if (error == -EAGAIN)
			return;
		if (error < 0)
			chaos_fault("pop gave %d", error);
		hold(block.token, "pop");
	}
	chaos_free(&view->agent, block.token);
}

static void stand_by(struct view *view, uint64_t seed)
{
	struct evr_block mine[16];
	struct evr_ring ring;
	uint32_t held = 0;

	MUST(evr_ring_open(view->region, SIDE_RING, &ring) == 0);
	chaos_working();
	while (!stop_wanted()) {
		uint64_t random = next_random(&seed);

		switch (random % 8) {
		case 0:
		case 1:
		case 2:
			if (held < COUNT_OF(mine) &&
			    chaos_alloc(&view->agent, random & 64 ? 64 : INPUT_BYTES,
					&mine[held])) {
				memset(mine[held].payload, (int)held, 64);
				held++;
				count(COUNT_ALLOCATED);
				progress();
			}
			break;
		case 3:
		case 4:
			if (held > 0)
				chaos_free(&view->agent, mine[--held].token);
			break;
		case 5:
			if (held > 1 &&
			    evr_block_contain(&view->agent, mine[held - 2].token,
					      mine[held - 1].token) >= 0)
				held--;
			break;
		case 6:
			push_or_pop(view, &ring, random >> 32);
			break;
		default:
			if (random % 512 == 7)
				(void)evr_recover(&view->agent, NULL);
			else if (random % 64 == 7)
				evr_agent_flush(&view->agent);
			else
				sleep_us(random >> 40 & 63);
		}
	}
	while (held > 0)
		chaos_free(&view->agent, mine[--held].token);
}

/* ---- the parent ---- */

static void make_region(struct view *view)
{
	struct evr_region_options region_options = { .size = sizeof(region_options),
						     .bytes = UINT64_C(2) << 20,
						     .participants = 32 };
	struct evr_pool_options pool_options = chaos_pool(classes, COUNT_OF(classes));
	struct evr_uring_options uring_options = { .size = sizeof(uring_options),
						   .submission_capacity = 64,
						   .completion_capacity = 32,
						   .submitters = 8 };
	struct evr_ring ring;

	MUST(evr_region_create(&region_options, &view->region) == 0);
	MUST(evr_pool_create(view->region, &pool_options, &view->pool) == 0);
	MUST(evr_uring_create(view->pool, &uring_options, &view->uring) == 0);
	MUST(evr_ring_create(view->region, SIDE_RING, 4, &ring) == 0);
	MUST(evr_agent_open(view->pool, &view->agent) == 0);
}

/* The first parent: makes the region, hands it over the socket, starts its children. */
static void found(const struct role *role, struct view *view)
{
	struct role child = *role;
	uint32_t slot;

	make_region(view);
	MUST(evri_os_send_fd(role->region_fd, evr_region_fd(view->region), "region", 6) ==
	     0);
	child.region_fd = inheritable(evr_region_fd(view->region));
	for (slot = 0; slot < COUNT_OF(parts); slot++) {
		if (!parts[slot].started_by_another)
			continue;
		child.name = parts[slot].role;
		child.slot = slot;
		child.seed = next_random(&child.seed);
		(void)role_start(&child);
	}
	close(child.region_fd);
}

static int play(const struct role *role)
{
	struct view view = { 0 };

	chaos_enter(role);
	if (strcmp(role->name, "founder") == 0)
		found(role, &view);
	else
		view_attach(&view, role->region_fd, role->seed);
	if (strcmp(role->name, "bystander") == 0)
		stand_by(&view, role->seed);
	else if (strcmp(role->name, "worker") == 0 ||
		 strcmp(role->name, "completer") == 0)
		complete_all(&view, role->seed);
	else
		submit_all(&view, role->seed);
	if (!parts[role->slot].mortal)
		chaos_rest(&view);
	chaos_leave(&view);
	return 0;
}

/* ---- the supervisor ---- */

static bool ends(const char *role, uint64_t stage)
{
	bool completes = strcmp(role, "worker") == 0 || strcmp(role, "completer") == 0;

	return completes == (stage == 2);
}

static bool start_all(struct chaos *chaos)
{
	struct role founder = { .name = "founder",
				.board_fd = chaos->board_fd,
				.seed = next_random(&chaos->seed) };
	char payload[6];
	uint32_t slot;
	int sockets[2];
	int fd;

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
	founder.region_fd = sockets[1];
	(void)role_start(&founder);
	if (evri_os_receive_fd(sockets[0], payload, sizeof(payload), &fd) < 0)
		return false;
	chaos->region_fd = inheritable(fd);
	close(fd);
	close(sockets[0]);
	close(sockets[1]);
	for (slot = 1; slot < chaos->parts_count; slot++)
		if (!parts[slot].started_by_another)
			chaos_start(chaos, slot);
	return true;
}

/* What is left when all have finished: nothing in hands, and in rings only what the dead
 * had sent. */
static bool clean_up(struct chaos *chaos)
{
	struct evr_completer *completer;
	struct evr_request request;
	struct evr_ring ring;
	struct evr_block block;
	struct view view;
	bool clean;

	view_attach(&view, chaos->region_fd, chaos->seed);
	clean = recover_all(&view.agent, 10);
	MUST(evr_completer_open(view.uring, &view.agent, NULL, &completer) == 0);
	clean = clean && evr_completer_try_receive(completer, &request) == -EAGAIN;
	evr_completer_close(completer);
	MUST(evr_ring_open(view.region, SIDE_RING, &ring) == 0);
	while (evr_ring_try_pop(&ring, &view.agent, &block) == 0)
		MUST(evr_block_free(&view.agent, block.token) == 0);
	view_close(&view);
	return clean;
}

static uint64_t gap_of(uint32_t slot)
{
	return evr_load_relaxed_u64(&board->slots[slot].gap_ns);
}

static void run_group(struct chaos *chaos, uint64_t kills, uint64_t pause_us_max)
{
	static const char name[] =
		"whoever is killed, no request is lost, answered twice or changed";
	bool well = start_all(chaos) && chaos_run(chaos, kills, pause_us_max);
	uint64_t gap_ns;

	well = well && chaos_stop(chaos, 1, ends) && chaos_stop(chaos, 2, ends);
	gap_ns = gap_of(1) > gap_of(2) ? gap_of(1) : gap_of(2);
	printf("kills: %llu (parent %llu, workers %llu, bystanders %llu), stops: %llu, "
	       "answered: %llu, came back: %llu, homeless: %llu, pool: %s\n",
	       (unsigned long long)chaos->kills_done, (unsigned long long)chaos->kills[0],
	       (unsigned long long)(chaos->kills[3] + chaos->kills[4]),
	       (unsigned long long)(chaos->kills[5] + chaos->kills[6]),
	       (unsigned long long)chaos->stops_done,
	       (unsigned long long)evr_load_relaxed_u64(&board->counts[COUNT_ANSWERED]),
	       (unsigned long long)evr_load_relaxed_u64(&board->counts[COUNT_CAME_BACK]),
	       (unsigned long long)evr_load_relaxed_u64(&board->counts[COUNT_HOMELESS]),
	       chaos_pool_name());

	if (well && !board->faults.raw)
		report_ok(
			name);
	else
		report_not_ok(
			name,
			"%s",
			board->text[0] ? board->text
				       : "a process did not start or end in time");
	if (evr_load_relaxed_u64(&board->counts[COUNT_CAME_BACK]) > 0)
		report_ok("requests in dead hands come back");
	else
		report_not_ok("requests in dead hands come back", "none did");
	chaos_report_stops(chaos, gap_ns);
	if (well) {
		if (clean_up(chaos))
			report_ok(
				"at the end nothing is postponed and nothing is queued");
		else
			report_not_ok(
				"at the end nothing is postponed and nothing is queued",
				"recovery did not finish in 10 s, or a request was left");
		report_all_free("after all kills every block is free exactly once",
				chaos->region_fd);
	}
	evr_store_release_u64(&board->stop, 3);
	chaos_end(chaos);
}

int main(int argc, char **argv)
{
	struct role role;
	uint64_t seed, kills, groups, pause_us, first;
	uint64_t i;

	if (role_of(argc, argv, &role))
		return play(&role);
	seed = option(argc, argv, "seed", "EVR_SEED", now_ns());
	kills = option(argc, argv, "kills", "EVR_KILLS", report_quick() ? 150 : 2000);
	groups = option(argc, argv, "groups", "EVR_GROUPS", report_quick() ? 1 : 4);
	pause_us = option(argc, argv, "pause-us", "EVR_PAUSE_US", 10000);
	printf("seed: %llu (--seed=N or EVR_SEED=N; also --kills --groups --pause-us)\n",
	       (unsigned long long)seed);
	first = seed % CHAOS_VARIANTS;
	MUST(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	for (i = 0; i < groups && report_failed_count == 0; i++) {
		struct chaos chaos = { .parts = parts,
				       .parts_count = COUNT_OF(parts),
				       .board_fd = board_create(sizeof(*board)),
				       .seed = next_random(&seed) };

		board = board_map(chaos.board_fd, sizeof(*board));
		evr_store_relaxed_u64(&board->next_incarnation, 1);
		board->variant = (first + i) % CHAOS_VARIANTS;
		run_group(&chaos, (kills + groups - 1) / groups, pause_us ? pause_us : 1);
		munmap(board, sizeof(*board));
		close(chaos.board_fd);
		close(chaos.region_fd);
	}
	return report_end();
}

/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * threads.c - the data path with threads in place of processes, for ThreadSanitizer.
 *
 * It sees the accesses of one process to one mapping, so there is one attachment, and
 * each thread has an agent, a ring's end, a submitter or a completer of its own. Without
 * the sanitizer it is a test like the others.
 */

#include "process.h"

#include <pthread.h>

#define PUSHERS 2
#define POPPERS 2
#define SIDES 2
#define WINDOW 8

struct message {
	uint64_t sender;
	uint64_t sequence;
	uint64_t plain[6]; /* written and read without atomics: what the ring orders */
};

static struct {
	struct view view;
	struct evr_atomic_u64 popped;
	struct evr_atomic_u64 answered;
	struct evr_atomic_u64 faults;
	struct evr_atomic_u64 stop;
	uint64_t messages; /* of each thread */
} stage;

struct worker {
	pthread_t thread;
	uint64_t number;
};

static void fault(void)
{
	evr_fetch_add_relaxed_u64(&stage.faults, 1);
}

static void fill(struct message *message, uint64_t sender, uint64_t sequence)
{
	int i;

	message->sender = sender;
	message->sequence = sequence;
	for (i = 0; i < 6; i++)
		message->plain[i] = sender + sequence + (uint64_t)i;
}

static bool is_whole(const struct message *message)
{
	int i;

	for (i = 0; i < 6; i++)
		if (message->plain[i] !=
		    message->sender + message->sequence + (uint64_t)i)
			return false;
	return true;
}

/* A block, when there is one; others may hold all of them for a moment. */
static struct evr_block alloc_soon(struct evr_agent *agent, uint64_t bytes)
{
	struct evr_block block;
	int error;

	while ((error = evr_block_alloc(agent, bytes, &block)) == -ENOSPC)
		sched_yield();
	MUST(error == 0);
	return block;
}

/* ---- a bare ring ---- */

static void *push_all(void *argument)
{
	struct worker *worker = argument;
	struct evr_ring ring;
	struct evr_agent agent;
	uint64_t i;

	MUST(evr_agent_open(stage.view.pool, &agent) == 0);
	MUST(evr_ring_open(stage.view.region, "ring", &ring) == 0);
	for (i = 1; i <= stage.messages; i++) {
		struct evr_block block = alloc_soon(&agent, sizeof(struct message));
		int error;

		fill(block.payload, worker->number, i);
		while ((error = evr_ring_try_push(&ring, &agent, block.token)) ==
		       -EAGAIN)
			sched_yield();
		if (error < 0)
			fault();
	}
	evr_agent_close(&agent);
	return NULL;
}

static void *pop_all(void *argument)
{
	uint64_t last[PUSHERS] = { 0 };
	struct evr_ring ring;
	struct evr_block block;
	struct evr_agent agent;
	int error;

	(void)argument;
	MUST(evr_agent_open(stage.view.pool, &agent) == 0);
	MUST(evr_ring_open(stage.view.region, "ring", &ring) == 0);
	while ((error = evr_ring_try_pop(&ring, &agent, &block)) != -EPIPE) {
		const struct message *message = block.payload;

		if (error == -EAGAIN) {
			sched_yield();
			continue;
		}
		if (error < 0 || !is_whole(message) || message->sender >= PUSHERS ||
		    message->sequence <= last[message->sender]) {
			fault();
			break;
		}
		last[message->sender] = message->sequence;
		evr_fetch_add_relaxed_u64(&stage.popped, 1);
		MUST(evr_block_free(&agent, block.token) == 0);
	}
	evr_agent_close(&agent);
	return NULL;
}

/* ---- requests with a content ---- */

static void reap_one(struct evr_agent *agent, struct evr_submitter *submitter,
		     uint64_t number)
{
	struct evr_completion completion;
	struct evr_block content;

	if (evr_submitter_reap(submitter, &completion, now_ns() + 60 * SECOND_NS) < 0) {
		fault();
		return;
	}
	MUST(evr_block_take_out(agent, completion.block.token, 0, &content) == 0);
	if (completion.status != 0 || !is_whole(content.payload) ||
	    ((struct message *)content.payload)->sender != number + 1000 ||
	    ((struct message *)content.payload)->sequence != completion.operation)
		fault();
	MUST(evr_block_free(agent, content.token) == 0);
	MUST(evr_block_free(agent, completion.block.token) == 0);
	evr_fetch_add_relaxed_u64(&stage.answered, 1);
}

static void *submit_all(void *argument)
{
	struct worker *worker = argument;
	struct evr_submitter *submitter;
	struct evr_agent agent;
	uint64_t i;

	MUST(evr_agent_open(stage.view.pool, &agent) == 0);
	MUST(evr_submitter_open(stage.view.uring, &agent, NULL, &submitter) == 0);
	for (i = 1; i <= stage.messages; i++) {
		struct evr_request request = { .operation = i };
		struct evr_block content = alloc_soon(&agent, 1024);

		fill(content.payload, worker->number, i);
		request.block = alloc_soon(&agent, 64);
		MUST(evr_block_contain(&agent, request.block.token, content.token) == 0);
		if (evr_submitter_submit(submitter, &request, now_ns() + 60 * SECOND_NS) <
		    0)
			fault();
		while (evr_submitter_in_flight(submitter) >= WINDOW)
			reap_one(&agent, submitter, worker->number);
	}
	while (evr_submitter_in_flight(submitter) > 0)
		reap_one(&agent, submitter, worker->number);
	evr_submitter_close(submitter);
	evr_agent_close(&agent);
	return NULL;
}

static void *complete_all(void *argument)
{
	struct evr_completer *completer;
	struct evr_request request;
	struct evr_block content;
	struct evr_agent agent;
	int error;

	(void)argument;
	MUST(evr_agent_open(stage.view.pool, &agent) == 0);
	MUST(evr_completer_open(stage.view.uring, &agent, NULL, &completer) == 0);
	while ((error = evr_completer_receive(completer, &request, EVR_NEVER)) == 0) {
		struct message *message;

		MUST(evr_block_content(&agent, request.block.token, 0, &content) == 0);
		message = content.payload;
		if (!is_whole(message) || message->sequence != request.operation)
			fault();
		fill(message, message->sender + 1000, message->sequence);
		if (evr_completer_complete(completer, request.block.token, 0, 0) < 0)
			fault();
	}
	if (error != -EPIPE)
		fault();
	evr_completer_close(completer);
	evr_agent_close(&agent);
	return NULL;
}

/* Nobody is dead here; that it looks at everything all the time is what counts. */
static void *recover_all_the_time(void *argument)
{
	struct evr_agent agent;

	(void)argument;
	MUST(evr_agent_open(stage.view.pool, &agent) == 0);
	while (!evr_load_acquire_u64(&stage.stop)) {
		if (evr_recover(&agent, NULL) != 0)
			fault();
		sleep_us(200);
	}
	evr_agent_close(&agent);
	return NULL;
}

/* ---- the stage ---- */

static void start(struct worker *workers, int count, void *(*run)(void *))
{
	int i;

	for (i = 0; i < count; i++) {
		workers[i].number = (uint64_t)i;
		MUST(pthread_create(&workers[i].thread, NULL, run, &workers[i]) == 0);
	}
}

static void join(struct worker *workers, int count)
{
	int i;

	for (i = 0; i < count; i++)
		pthread_join(workers[i].thread, NULL);
}

static void make_stage(void)
{
	static const struct evr_pool_class classes[] = {
		{ 64, 128, 0 },
		{ 1024, 64, 0 },
	};
	struct evr_region_options region_options = { .size = sizeof(region_options),
						     .bytes = UINT64_C(2) << 20 };
	struct evr_pool_options pool_options = { .size = sizeof(pool_options),
						 .classes = classes,
						 .classes_count = COUNT_OF(classes) };
	struct evr_uring_options uring_options = { .size = sizeof(uring_options),
						   .submission_capacity = 8,
						   .completion_capacity = 16 };
	struct evr_ring ring;

	MUST(evr_region_create(&region_options, &stage.view.region) == 0);
	MUST(evr_pool_create(stage.view.region, &pool_options, &stage.view.pool) == 0);
	MUST(evr_uring_create(stage.view.pool, &uring_options, &stage.view.uring) == 0);
	MUST(evr_ring_create(stage.view.region, "ring", 4, &ring) == 0);
}

int main(void)
{
	struct worker pushers[PUSHERS], poppers[POPPERS];
	struct worker submitters[SIDES], completers[SIDES];
	struct worker recoverer;
	struct evr_ring ring;
	uint64_t faults, popped, answered;
	int fd;

	stage.messages = report_quick() ? 5000 : 50000;
	make_stage();
	fd = inheritable(evr_region_fd(stage.view.region));
	MUST(evr_ring_open(stage.view.region, "ring", &ring) == 0);
	start(&recoverer, 1, recover_all_the_time);
	start(poppers, POPPERS, pop_all);
	start(completers, SIDES, complete_all);
	start(pushers, PUSHERS, push_all);
	start(submitters, SIDES, submit_all);
	join(pushers, PUSHERS);
	while (evr_ring_close(&ring) == -EAGAIN)
		sched_yield();
	join(submitters, SIDES);
	while (evr_uring_shutdown(stage.view.uring) == -EAGAIN)
		sched_yield();
	join(poppers, POPPERS);
	join(completers, SIDES);
	evr_store_release_u64(&stage.stop, 1);
	join(&recoverer, 1);
	view_close(&stage.view);

	faults = evr_load_relaxed_u64(&stage.faults);
	popped = evr_load_relaxed_u64(&stage.popped);
	answered = evr_load_relaxed_u64(&stage.answered);
	if (faults == 0)
		report_ok("threads see each other's blocks whole and in order");
	else
		report_not_ok("threads see each other's blocks whole and in order",
			      "%llu faults", (unsigned long long)faults);
	if (popped == PUSHERS * stage.messages && answered == SIDES * stage.messages)
		report_ok("every message between threads arrives once");
	else
		report_not_ok("every message between threads arrives once",
			      "%llu popped, %llu answered, %llu each expected",
			      (unsigned long long)popped, (unsigned long long)answered,
			      (unsigned long long)(SIDES * stage.messages));
	report_all_free("after the threads every block is free exactly once", fd);
	return report_end();
}

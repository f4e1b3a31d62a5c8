/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * many_to_many.c - four submitting and four completing processes, two threads each, on
 * one uring: every message is received once and answered once, and each completer sees
 * any one submitter's requests in ascending order.
 */

#include "process.h"

#include <pthread.h>

#define SIDES 4
#define THREADS 2
#define SUBMITTERS (SIDES * THREADS)
#define WINDOW 32
#define MESSAGES_MAX 100000

enum fault {
	FAULT_TWICE,
	FAULT_ORDER,
	FAULT_ANSWER,
	FAULT_CALL,
	FAULTS,
};

struct board {
	uint64_t messages; /* of each submitting thread */
	struct evr_atomic_u64 faults[FAULTS];
	struct evr_atomic_u64 answered;
	struct evr_atomic_u64 completers[SUBMITTERS]; /* what each of them received */
	struct evr_atomic_u32 received[SUBMITTERS][MESSAGES_MAX];
};

struct message {
	uint64_t submitter;
	uint64_t sequence;
	uint64_t answer;
};

struct worker {
	struct view view; /* the process's; each thread has an agent of its own */
	struct board *board;
	uint32_t number;
};

static void fault(struct board *board, enum fault which)
{
	evr_fetch_add_relaxed_u64(&board->faults[which], 1);
}

static void *submit_all(void *argument)
{
	struct worker *worker = argument;
	struct board *board = worker->board;
	struct evr_submitter *submitter;
	struct evr_agent agent;
	uint64_t sent = 0;
	uint64_t reaped = 0;

	MUST(evr_agent_open(worker->view.pool, &agent) == 0);
	MUST(evr_submitter_open(worker->view.uring, &agent, NULL, &submitter) == 0);
	while (reaped < board->messages) {
		struct evr_completion completion;
		struct message *message;

		while (sent < board->messages && sent - reaped < WINDOW) {
			struct evr_request request = { .operation = sent,
						       .length_bytes = sizeof(*message) };

			if (evr_block_alloc(&agent, sizeof(*message), &request.block) < 0)
				break;
			message = request.block.payload;
			message->submitter = worker->number;
			message->sequence = sent;
			if (evr_submitter_submit(submitter, &request,
						 now_ns() + 30 * SECOND_NS) < 0) {
				fault(board, FAULT_CALL);
				return NULL;
			}
			sent++;
		}
		if (evr_submitter_reap(submitter, &completion,
				       now_ns() + 30 * SECOND_NS) < 0) {
			fault(board, FAULT_CALL);
			return NULL;
		}
		message = completion.block.payload;
		if (completion.status != 0 || message->submitter != worker->number ||
		    message->sequence != completion.operation ||
		    message->answer != 3 * completion.operation + worker->number)
			fault(board, FAULT_ANSWER);
		if (evr_block_free(&agent, completion.block.token) < 0)
			fault(board, FAULT_CALL);
		evr_fetch_add_relaxed_u64(&board->answered, 1);
		reaped++;
	}
	evr_submitter_close(submitter);
	evr_agent_close(&agent);
	return NULL;
}

static void *complete_all(void *argument)
{
	struct worker *worker = argument;
	struct board *board = worker->board;
	int64_t last[SUBMITTERS];
	struct evr_completer *completer;
	struct evr_request request;
	struct evr_agent agent;
	int error;

	memset(last, -1, sizeof(last));
	MUST(evr_agent_open(worker->view.pool, &agent) == 0);
	MUST(evr_completer_open(worker->view.uring, &agent, NULL, &completer) == 0);
	while ((error = evr_completer_receive(completer, &request, EVR_NEVER)) == 0) {
		struct message *message = request.block.payload;

		if (message->submitter >= SUBMITTERS ||
		    message->sequence >= board->messages) {
			fault(board, FAULT_ANSWER);
			continue;
		}
		if (evr_fetch_add_relaxed_u32(
			    &board->received[message->submitter][message->sequence], 1) !=
		    0)
			fault(board, FAULT_TWICE);
		if ((int64_t)message->sequence <= last[message->submitter])
			fault(board, FAULT_ORDER);
		last[message->submitter] = (int64_t)message->sequence;
		message->answer = 3 * message->sequence + message->submitter;
		evr_fetch_add_relaxed_u64(&board->completers[worker->number], 1);
		if (evr_completer_complete(completer, request.block.token, 0,
					   sizeof(*message)) < 0)
			fault(board, FAULT_CALL);
	}
	if (error != -EPIPE)
		fault(board, FAULT_CALL);
	evr_completer_close(completer);
	evr_agent_close(&agent);
	return NULL;
}

static int play(const struct role *role)
{
	void *(*run)(void *) =
		strcmp(role->name, "submit") == 0 ? submit_all : complete_all;
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	struct view view;
	uint32_t i;

	view_attach(&view, role->region_fd, role->seed);
	for (i = 0; i < THREADS; i++) {
		workers[i].view = view;
		workers[i].board = board_map(role->board_fd, sizeof(struct board));
		workers[i].number = role->slot * THREADS + i;
		MUST(pthread_create(&threads[i], NULL, run, &workers[i]) == 0);
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	view_close(&view);
	return 0;
}

static void report_faults(struct board *board, uint64_t ended_badly)
{
	static const char *const names[FAULTS] = {
		[FAULT_TWICE] = "no message is received twice",
		[FAULT_ORDER] = "a completer sees the requests of one submitter in order",
		[FAULT_ANSWER] = "every answer belongs to its question",
		[FAULT_CALL] = "no call fails",
	};
	uint64_t expected = board->messages * SUBMITTERS;
	uint64_t received = 0;
	uint64_t busy = 0;
	int i;

	for (i = 0; i < FAULTS; i++) {
		uint64_t count = evr_load_relaxed_u64(&board->faults[i]);

		if (count)
			report_not_ok(names[i], "%llu times", (unsigned long long)count);
		else
			report_ok(names[i]);
	}
	for (i = 0; i < SUBMITTERS; i++) {
		received += evr_load_relaxed_u64(&board->completers[i]);
		busy += evr_load_relaxed_u64(&board->completers[i]) > 0;
	}
	if (received == expected && evr_load_relaxed_u64(&board->answered) == expected &&
	    ended_badly == 0)
		report_ok("every message is received and answered");
	else
		report_not_ok(
			"every message is received and answered",
			"of %llu, %llu received, %llu answered; %llu processes ended "
			"badly",
			(unsigned long long)expected, (unsigned long long)received,
			(unsigned long long)evr_load_relaxed_u64(&board->answered),
			(unsigned long long)ended_badly);
	if (busy > 1)
		report_ok("several completers take part");
	else
		report_not_ok("several completers take part", "one did it all");
}

/* Work that was found without a ring. A thread that the scheduler keeps off the CPU
 * between its push and its ring is as good as stopped, so a few may be. */
#define WAKES_LOST_MAX 8

static void report_wakes(int region_fd)
{
	static const char name[] = "no wake is lost";
	uint64_t offset = 0;
	uint64_t lost;
	uint64_t bytes;
	char *base = audit_map(region_fd, &bytes);
	struct evr_uring_shared *uring =
		audit_find(base, bytes, EVR_URING_MAGIC, &offset);
	char *homes = (char *)uring + uring->homes_offset;
	uint32_t slot;

	lost = evr_doorbell_backstops(&uring->bell);
	for (slot = 0; slot < uring->homes_count; slot++) {
		struct evr_home_shared *home =
			(struct evr_home_shared *)(homes +
						   slot * uring->home_stride_bytes);

		lost += evr_doorbell_backstops(&home->bell);
	}
	printf("back-stops: %llu\n", (unsigned long long)lost);
	if (lost <= WAKES_LOST_MAX)
		report_ok(name);
	else
		report_not_ok(name, "%llu times there was work that nobody had rung for",
			      (unsigned long long)lost);
	munmap(base, bytes);
}

int main(int argc, char **argv)
{
	static const struct evr_pool_class class = { 64, 1024, 0 };
	struct evr_region_options region_options = { .size = sizeof(region_options),
						     .bytes = UINT64_C(1) << 20 };
	struct evr_pool_options pool_options = { .size = sizeof(pool_options),
						 .classes = &class,
						 .classes_count = 1 };
	struct evr_uring_options uring_options = { .size = sizeof(uring_options),
						   .submission_capacity = 64,
						   .completion_capacity = 64,
						   .submitters = SUBMITTERS };
	struct role role;
	struct board *board;
	struct view view = { 0 };
	pid_t children[2 * SIDES];
	uint64_t ended_badly = 0;
	uint64_t seed;
	int i;

	if (role_of(argc, argv, &role))
		return play(&role);
	seed = option(argc, argv, "seed", "EVR_SEED", now_ns());
	printf("seed: %llu (--seed=N or EVR_SEED=N to repeat)\n",
	       (unsigned long long)seed);
	role.board_fd = board_create(sizeof(*board));
	board = board_map(role.board_fd, sizeof(*board));
	board->messages = option(argc, argv, "messages", "EVR_MESSAGES",
				 report_quick() ? 10000 : MESSAGES_MAX);
	if (board->messages > MESSAGES_MAX)
		board->messages = MESSAGES_MAX;

	MUST(evr_region_create(&region_options, &view.region) == 0);
	MUST(evr_pool_create(view.region, &pool_options, &view.pool) == 0);
	MUST(evr_uring_create(view.pool, &uring_options, &view.uring) == 0);
	role.region_fd = inheritable(evr_region_fd(view.region));
	for (i = 0; i < 2 * SIDES; i++) {
		role.name = i % 2 ? "submit" : "complete";
		role.slot = (uint32_t)i / 2;
		role.seed = next_random(&seed);
		children[i] = role_start(&role);
	}
	for (i = 1; i < 2 * SIDES; i += 2)
		ended_badly += !ended_well(children[i]);
	MUST(evr_uring_shutdown(view.uring) == 0);
	for (i = 0; i < 2 * SIDES; i += 2)
		ended_badly += !ended_well(children[i]);
	report_faults(board, ended_badly);
	report_wakes(role.region_fd);
	view_close(&view);
	report_all_free("at the end every block is free exactly once", role.region_fd);
	return report_end();
}

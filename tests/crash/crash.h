/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_TESTS_CRASH_H
#define EVERING_TESTS_CRASH_H

/*
 * crash.h - what the parts of the crash harness share. main.c tells the method.
 *
 * The parties of one experiment, each a process of its own with its own attachment:
 *
 *	house     creates the region, traces the victim, recovers, audits; this program
 *	source    supplies what the victim will meet: messages, requests, answers
 *	departed  dies before anything starts, holding what a scenario wants recovered
 *	victim    is single-stepped through one operation, and killed or stopped in it
 *	partner   in duets: is stepped through another operation, beside the victim
 *	worker x2 must each finish 1 000 operations whatever happened to the victim
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <evering/channel.h>
#include <evering/error.h>
#include <evering/ring_burst.h>

enum who { HOUSE, SOURCE, DEPARTED, VICTIM, PARTNER, WORKER_A, WORKER_B, PARTIES };

/* How many of a party's messages, and of its requests, are told apart. */
#define NOTES_MAX 8192

/* Of the one block class; a response is said to be shorter. */
#define PAYLOAD_BYTES 64
#define RESPONSE_BYTES 48

#define OPERATIONS_WANTED 1000

/*
 * The notice board: plain shared memory beside the region, for the harness alone. The
 * code under test never sees it.
 */
struct board {
	uint32_t wanted;    /* operations of each worker */
	uint32_t wrong;     /* somebody has complained */
	uint32_t supplied;  /* the source has done its part */
	uint32_t received;  /* the requests are in somebody's hands */
	uint32_t left;      /* the source's submitter is closed */
	uint32_t finish;    /* everybody comes to an end */
	uint32_t settled;   /* bits: who has nothing in flight any more */
	uint32_t expected;  /* bits: who is to settle */
	uint32_t deaths;    /* somebody may have died: -EOWNERDEAD is no surprise */
	uint32_t no_ring;   /* the ring is closed in this scenario */
	uint32_t no_uring;  /* the uring is shut down in this scenario */
	uint32_t cut_short; /* the victim was killed, perhaps before it did anything */
	uint32_t ready;     /* the departed holds what it is to die with */
	uint32_t die;       /* now it may */
	uint32_t present;   /* the departed is attached */
	uint32_t departed;  /* its attach number */
	uint32_t departed_record;
	uint32_t departed_agent;
	uint32_t moved_in;  /* mode late: the newcomer is in the middle of things */
	uint32_t go_on;     /* and may leave that middle */
	uint32_t number[PARTIES]; /* attach numbers, of those that opened */
	uint32_t pid[PARTIES];
	uint32_t answered;  /* operation of the source's whose answer was written */
	uint32_t audited;   /* the blocks were counted: everybody may leave */
	uint32_t file;      /* the descriptor that the victim's new file will have */
	uint32_t outcomes;  /* bits, as the scenario understands them: what was seen */
	uint32_t done[PARTIES];    /* this worker's operations */
	uint32_t resting[PARTIES]; /* holds nothing any more, but is still attached */
	uint32_t sent[PARTIES];    /* messages whose push returned 0 */
	uint8_t taken[PARTIES][NOTES_MAX]; /* how often each message was taken */
	char complaint[PARTIES][200];      /* the first thing that each found wrong */
};

/* What a party needs, opened. */
struct party {
	enum who who;
	struct board *board;
	struct evr_region *region;
	struct evr_pool *pool;
	struct evr_agent agent;
	struct evr_ring ring;
	struct evr_ring lone; /* where there is one */
	struct evr_uring *uring;
	struct evr_submitter *submitter;
	struct evr_completer *completer;
	uint32_t next_message;
	uint32_t next_request;
	uint32_t messages_taken;
	uint32_t completions_reaped;
	uint32_t last_message[PARTIES];
	uint32_t last_request[PARTIES];
	uint8_t outstanding[NOTES_MAX];
	/* For a scenario's own use, between its enter, operate and leave. */
	struct evr_block held[80];
	uint32_t held_count;
	struct evr_request request;
	struct evr_request second_request;
	struct evr_completion completion;
	struct evr_block block;
	struct evr_agent second;
	struct evr_submitter *second_submitter;
	struct evr_recoverer *recoverer;
	struct evr_region *second_region;
	struct evr_uring *second_uring;
	uint32_t range;
	int result;
};

/* Sizes are tiny so that an operation is short and rings run full, empty and around. */
/* More than a page, wherever it begins. */
#define LARGE_BYTES 8192

struct geometry {
	uint32_t blocks;
	uint32_t batch;
	uint32_t ring_order;
	uint32_t submission;
	uint32_t completion;
	uint32_t submitters;
	uint32_t pool_flags;
	uint32_t grow_bytes; /* that the region may grow by */
	uint32_t large;      /* blocks of LARGE_BYTES */
	uint32_t alignment;  /* of these */
};

enum mode {
	MODE_KILL,   /* killed; two others work on while it is recovered */
	MODE_QUIET,  /* killed, and recovered before anybody does anything */
	MODE_STOP,   /* stopped; two others finish 1 000 operations each; it goes on */
	MODE_SENDER, /* stopped, while the dead source of what it takes is recovered */
	MODE_BOTH,   /* killed, and its source as well */
	MODE_OTHER,  /* stopped, while one of the others is killed and recovered */
	MODE_RIVAL,  /* stopped, while one who took what it was about to take dies */
	MODE_ROUND,  /* stopped, while what it was about to take goes round, and into the
		      * hands of one who dies with all that there is */
	MODE_LATE,   /* a recoverer, stopped while others finish its work and somebody
		      * else moves into the dead one's record, and is at work */
	MODE_ENDS,   /* duet: stopped, while the partner, stopped before it, ends */
	MODE_BEGINS, /* duet: stopped, while the partner begins; then it ends */
	MODES
};

#define IN(mode) (1U << (mode))

/* Outcomes that the harness wants to have seen, besides a scenario's own. */
#define OUTCOME_OLD_INTENT (1U << 30) /* mode round: of a block that went round */
#define OUTCOME_MOVED_IN (1U << 31)   /* mode late: the record had another owner */

/*
 * One operation to be enumerated. Only operate() lies between the marks. A role that a
 * scenario does not need is NULL.
 */
struct scenario {
	const char *name;
	const char *about;
	unsigned int modes;             /* IN(MODE_...) */
	const struct geometry *geometry; /* NULL: the usual one */
	const struct scenario *partner;  /* of a duet: its enter, operate and leave */
	uint32_t stride;                 /* every so many points, of many; 0: all */
	uint32_t outcomes_wanted;        /* bits that the points together must show */
	bool needs_huge_page;            /* of 2 MiB, free on this machine */
	void (*prepare)(struct party *house);    /* before anybody else is there */
	void (*supply)(struct party *source);    /* in the source's process */
	void (*depart)(struct party *departed);  /* in the departed's, who then dies */
	void (*rival)(struct party *rival);      /* the same, in mode rival */
	void (*enter)(struct party *victim);     /* attached; about to begin */
	void (*operate)(struct party *victim);
	void (*leave)(struct party *victim);     /* it went on: is all as it should be? */
	/* The bytes to look for stores in, where they are not the region's. */
	const void *(*look)(struct party *house, pid_t victim, size_t *ret_bytes);
	/* While the victim is stopped at its point, also if it is killed then. */
	void (*reached)(struct party *house, pid_t victim);
	void (*beside)(struct party *house);   /* while the victim is stopped, or dead */
	void (*conclude)(struct party *house); /* before the blocks are counted */
	bool source_dies_first;   /* dead and recovered before the victim begins */
	bool supplies_to_die;     /* a source only where it dies */
	bool source_lives_high;   /* its home is one that nobody takes after it */
	bool departs_beside;      /* the departed dies while the victim gets ready */
	bool gone_is_no_surprise; /* answers may come too late though nobody died */
	uint32_t messages_lost;   /* that the departed took with it */
	uint32_t burst_lost;      /* more, that one who dies at work takes with it */
	bool closes_ring;
	bool shuts_uring;
};

extern const struct scenario *const scenarios[];
extern const char *const mode_names[MODES];
extern const char *const who_names[PARTIES];
extern const struct geometry geometry_usual;
extern const struct geometry geometry_untracked;
extern const struct geometry geometry_small;
extern const struct geometry geometry_tiny;
extern const struct geometry geometry_growing;
extern const struct geometry geometry_retiring;
extern const struct geometry geometry_retiring_beside;
extern const struct geometry geometry_hardened;
extern const struct geometry geometry_aligned;
extern const struct geometry geometry_submitting;

/* ---- party.c ---- */

/* Generous: 1 000 operations take about a millisecond on an idle machine. The house waits
 * a little longer than those that it waits for. */
#define DEADLINE_SECONDS 20

#define COMPLAINT_EXIT 3

/* Writes down what is wrong (the first thing stays) and, but for the house, exits. */
void complain(struct party *party, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* A result that the scenario takes for granted. */
#define MUST(party, expression)                                                          \
	do {                                                                             \
		int must_result = (expression);                                          \
		if (must_result < 0)                                                     \
			complain(party, "%s: %s", #expression,                           \
				 evr_strerror(must_result));                             \
	} while (0)

void party_open(struct party *party, enum who who, struct board *board, int fd);
void party_open_objects(struct party *party);
void party_open_submitter(struct party *party);
/* Ends what was opened; checks that nothing is held. Still attached afterwards. */
void party_close(struct party *party);
/* Waits, attached and holding nothing, until the blocks were counted; then leaves. */
void party_rest(struct party *party);
/* Reaps until nothing is in flight; meanwhile serves others, who do the same. */
void party_settle(struct party *party);
void party_reap_all(struct party *party);

/* Each returns whether it did something; -EAGAIN and -ENOSPC mean no. */
bool message_send(struct party *party);
bool message_take(struct party *party);
bool request_send(struct party *party, uint32_t contents);
bool request_serve(struct party *party);
bool request_reap(struct party *party);

void message_write(struct party *party, const struct evr_block *block);
void message_verify(struct party *party, const struct evr_block *block);
/* Allocates and fills a request with contents; not submitted yet. */
bool request_make(struct party *party, uint32_t contents, struct evr_request *ret);
void request_verify(struct party *party, const struct evr_request *request);
void request_answer(struct party *party, const struct evr_request *request);
void completion_verify(struct party *party, const struct evr_completion *completion);
void completion_free(struct party *party, const struct evr_completion *completion);

/* Complains unless the block says {OWNED, this party} at the token's generation. */
void expect_owned(struct party *party, const struct evr_block *block);
void expect_state(struct party *party, evr_token token, uint32_t state);
struct evr_block_shared *block_of(struct party *party, evr_token token);
struct evr_atomic_u64 *bitmap_word(struct party *party, uint32_t index);

/* Until the word is not zero; gives up when something is wrong. */
void await(struct party *party, uint32_t *word);
void announce(uint32_t *word);
uint64_t now_ns(void);
/* Has this process been at this experiment for longer than so many seconds? Time in which
 * the whole machine stood still, as a virtual one may, does not count. */
bool took_longer_than(uint64_t seconds);
void take_time(void);

/* ---- worker.c ---- */

void worker_run(struct party *party, bool dies_at_work);
void source_run(struct party *party, const struct scenario *scenario);

/* Dies with every block that it can get. */
void holder_run(struct party *party);

/* ---- newcomer.c ---- */

/* Moves into the departed's record; stands between slot and mark, and between bit and
 * word, until the late recoverer has come to its end. */
void newcomer_run(struct party *party);

/* ---- audit.c ---- */

/* At a moment when nobody is in the middle of anything. */
void audit_bits(struct party *house);
/* While the living are still attached: a block in their name that they do not have is
 * lost, and their leaving would find it. Takes the house's agent; complains. */
void audit_blocks(struct party *house, uint32_t missing_allowed);
/* After all have left: records and agents. Takes the rest of the house's. */
void audit_records(struct party *house);

/* ---- step.c ---- */

/* The victim's own half: begin mark, operation, end mark. */
void step_through(const struct scenario *scenario, struct party *victim);

/* What is watched for stores: the bytes as they are now, WATCHED_MAX at most. */
#define WATCHED_MAX (256 * 1024)

struct watched {
	const void *(*look)(struct party *house, pid_t victim, size_t *ret_bytes);
	struct party *house;
};

struct trace {
	uint64_t *address; /* of the next instruction, before each step */
	uint32_t *anchor;  /* for each point, the cheapest point to leap to first */
	uint32_t *passes;  /* how often the address was met before */
	uint32_t count;
	uint32_t capacity;
	/* The points right behind a change of the watched memory, or a system call. */
	uint32_t *stores;
	uint32_t stores_count;
};

enum step_result { STEP_OK, STEP_ENDED, STEP_LOST };

void step_watchdog(unsigned int seconds);
/* Waits for the begin mark. */
enum step_result step_to_begin(pid_t pid);
/* Steps to the end mark, writing down every address, and where @watched changed. */
enum step_result step_record(pid_t pid, struct trace *trace,
			     const struct watched *watched);
/* From the begin mark, @point instructions on. */
enum step_result step_reach(pid_t pid, const struct trace *trace, uint32_t point,
			    bool leap);
/* Lets it run to the end mark. */
enum step_result step_finish(pid_t pid);
/* Waits for its end; the exit status, or -signal; kills it when the watchdog barks. */
int step_await_exit(pid_t pid);
uint64_t step_address(pid_t pid);
const char *step_problem(void);
void trace_free(struct trace *trace);

/* ---- symbols.c ---- */

/* "name+0x12 (0x401234)", in a buffer of its own. */
const char *symbol_at(uint64_t address);
/* Where a function lies; false: there is no such symbol. */
bool symbol_find(const char *name, uint64_t *ret_begin, uint64_t *ret_end);

/* ---- coverage.c ---- */

/* A function of the library that changes what is shared, and the scenarios in which its
 * instructions are tried; or why there are none. */
struct coverage {
	const char *function;
	const char *operations; /* "push push-full" */
	const char *reason;     /* where there are none */
	bool is_inline;         /* its instructions are those of the scenario */
};

extern const struct coverage coverage[];
/* Of what @operation is said to go through, what is not on its path; NULL: nothing. */
const char *coverage_missed(const char *operation, const struct trace *trace);
void coverage_list(void);

/* ---- scenarios_create.c ---- */

/* At the end of all: what those who were killed left behind, or NULL. */
const char *create_leftovers(void);
/* Is there a free page of 2 MiB? */
bool huge_page_free(void);

/* ---- asked.c ---- */

#define POINT_NONE UINT32_MAX

struct crash_options {
	const char *only;
	uint32_t point;
	uint32_t partner;
	uint32_t stride;
	uint32_t most;
	uint32_t seconds;
	uint32_t lanes;
	bool first;
	bool verbose;
	bool quick;
};

extern struct crash_options asked;
/* Exits where the arguments ask for a list or help, or make no sense. */
void options_read(int argc, char **argv);

/* ---- experiment.c ---- */

struct finding {
	uint64_t address;
	uint32_t outcomes;
	char text[600];
};

/* One experiment: where the victim, and in a duet the partner, is stopped. */
struct plan {
	const struct scenario *scenario;
	enum mode mode;
	bool verbose;
	struct trace *trace; /* the victim's path */
	uint32_t point;
	bool record; /* no point: write down the path, up to the end */
	struct trace *partner_trace;
	uint32_t partner_point;
	bool record_partner;
};

/* False: it failed, and the finding says how. */
bool experiment_run(const struct plan *plan, struct finding *ret);

static inline bool is_duet(enum mode mode)
{
	return mode == MODE_ENDS || mode == MODE_BEGINS;
}

#endif

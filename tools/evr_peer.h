/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVR_PEER_H
#define EVR_PEER_H

/*
 * evr_peer.h - what the files of evr-peer share.
 *
 *	evr_peer.c          main(), signals, time
 *	evr_peer_options.c  the command line
 *	evr_peer_meet.c     how the peers of one region find each other
 *	evr_peer_pages.c    which pages a region is to have, and which it has
 *	evr_peer_roles.c    submit, complete, alloc, idle
 */

#include <stdbool.h>
#include <stdint.h>

#include <evering/evering.h>

enum peer_exit {
	PEER_DONE = 0, /* also: told to stop by SIGTERM or SIGINT */
	PEER_FAILED = 1,
	PEER_USAGE = 2,
	PEER_LATE = 3, /* --deadline passed before the work was done */
};

enum peer_role { PEER_SUBMIT, PEER_COMPLETE, PEER_ALLOC, PEER_IDLE };

extern const char *const peer_role_names[];

struct peer_options {
	enum peer_role role;
	int region_fd;		  /* or -1 */
	const char *listen_path;  /* or NULL */
	const char *connect_path; /* or NULL */
	const char *uring;
	uint64_t count; /* 0: no end */
	uint32_t size_bytes;
	uint64_t hold_us;
	uint32_t window;
	uint64_t deadline_s; /* 0: none */
	bool print_ids;
	bool shutdown;
	bool report;
	/* of a region that this peer creates */
	uint64_t region_bytes; /* 0: as many as the blocks need */
	uint32_t blocks;
	uint32_t block_bytes;
	uint64_t bytes_max; /* 0: does not grow */
	uint64_t page_bytes;
	uint32_t page_flags; /* enum evr_region_flags */
	enum evr_policy policy;
	int cpu;
	const char *nodes; /* a list, or NULL */
};

struct peer_listener;

/* This process's part in the region. */
struct peer {
	const struct peer_options *options;
	struct evr_region *region;
	struct evr_pool *pool;
	struct evr_uring *uring;
	struct evr_agent agent;
	struct peer_listener *listener;
	uint64_t deadline_ns;
};

/* ---- evr_peer.c ---- */

/* "evr-peer: ..." on standard error. Returns PEER_FAILED. */
int peer_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same for a failed call: what it was, what the error means, with which values. */
int peer_failed(const char *what, int error);

uint64_t peer_now_ns(void);
void peer_sleep_ns(uint64_t duration_ns);
/* Has the user, or the deadline, put an end to it? Answers a SIGUSR1 on the way. */
bool peer_should_end(const struct peer *peer);
/* A deadline for one wait: soon enough to hear of signals. */
uint64_t peer_tick_ns(const struct peer *peer);

/* ---- evr_peer_options.c ---- */

/* -1: go on; else the exit status, everything having been said. */
int peer_parse_options(int argc, char **argv, struct peer_options *ret);

/* ---- evr_peer_meet.c ---- */

/* Region, pool, uring and agent; a listener too, for --listen. PEER_DONE or PEER_FAILED,
 * what was made is undone by peer_leave() in both cases. */
int peer_meet(struct peer *peer);
void peer_leave(struct peer *peer);

/* ---- evr_peer_pages.c ---- */

/* The values of --pages and --placement: are they possible? */
bool peer_parse_pages(const char *text, struct peer_options *ret);
bool peer_parse_placement(const char *text, struct peer_options *ret);
int peer_create_region(struct peer *peer, uint64_t bytes);
/* A line on which pages there are and where, for --report. */
int peer_report(const struct peer *peer);

/* ---- evr_peer_roles.c ---- */

int peer_run(struct peer *peer);

#endif

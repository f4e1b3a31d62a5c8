/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERINGI_MEET_INTERNAL_H
#define EVERINGI_MEET_INTERNAL_H

/* meet_internal.h - what the files meet_*.c share. */

#include <pthread.h>

#include <evering/meet.h>

#include "internal_error.h"
#include "os.h"

/* ---- meet_frame.c: what two sides say to each other ---- */

/*
 *	client                                listener
 *	   HELLO {versions, name}      ------>
 *	   <------  ANSWER {status, versions, id} + memory file, carrier [, two eventfds]
 *	   ATTACHED {status, number}   ------>
 *	   <------  WELCOME {number}              only to one who stands by
 *
 * Who stands by says so in his HELLO, a listener that knows of it in its ANSWER. After
 * WELCOME the connection stays, if WELCOME says so too, and nothing is said on it any
 * more: its end is the listener's. A member who looks for the next listener sends a HELLO
 * that says MEMBER and the region's id, and is answered by WELCOME at once.
 *
 * One frame is one packet of EVRI_MEET_FRAME_BYTES, its numbers little-endian, at the
 * offsets that meet_frame.c lists. A later release may send longer ones whose beginning
 * is this; it raises the frame version when a listener or client of today could not get
 * by with that beginning.
 */
#define EVRI_MEET_FRAME_BYTES 320
#define EVRI_MEET_FRAME_VERSION 1
#define EVRI_MEET_REASON_BYTES 184

enum evri_meet_kind {
	EVRI_MEET_HELLO = 1,
	EVRI_MEET_ANSWER = 2,
	EVRI_MEET_ATTACHED = 3,
	EVRI_MEET_WELCOME = 4,
};

#define EVRI_MEET_WITH_BELLS UINT32_C(1) /* asked for; given */
#define EVRI_MEET_STAND_BY UINT32_C(2)   /* asked for; known; the connection is kept */
#define EVRI_MEET_MEMBER UINT32_C(4)     /* is in already */

struct evri_meet_frame {
	uint32_t kind;
	int32_t status; /* 0, or a negative errno */
	uint32_t flags;
	uint32_t number;
	uint32_t layout_version;
	uint32_t api_version;
	uint32_t abi_version;
	uint64_t features_compat;
	uint64_t features_ro_compat;
	uint64_t features_incompat;
	uint8_t id[16];
	char name[EVR_NAME_BYTES];
	char reason[EVRI_MEET_REASON_BYTES];
};

/* A frame that speaks for this library. */
struct evri_meet_frame evri_meet_frame(uint32_t kind);
void evri_meet_encode(const struct evri_meet_frame *frame, struct evri_os_message *ret);
/* -EPROTO, with detail: no frame, another version of it, another kind. What it lets
 * through has texts that end, of printable characters. */
int evri_meet_decode(const struct evri_os_message *message, uint32_t kind,
		     struct evri_meet_frame *ret);

/* ---- meet_policy.c ---- */

struct evri_meet_policy {
	uint32_t *uids;
	uint32_t *gids;
	uint32_t uids_count;
	uint32_t gids_count;
	bool (*allow)(void *context, const struct evr_credentials *who, bool listed);
	void *context;
	bool root_too;
};

int evri_meet_policy_copy(const struct evr_meet_policy *policy, bool root_too,
			  struct evri_meet_policy *ret);
void evri_meet_policy_free(struct evri_meet_policy *policy);
/* 0, -EACCES, or why it cannot be told; @ret_who is filled in unless that failed. */
int evri_meet_policy_ask(const struct evri_meet_policy *policy, int socket_fd,
			 struct evr_credentials *ret_who);

/* ---- meet_place.c: one listener per path, at any time ---- */

struct evri_meet_place {
	int socket_fd;
	int directory_fd; /* -1: an abstract address */
	char base[108];
	struct evri_os_file_id id;
};

struct evri_meet_place_options {
	const char *address;
	uint32_t mode;
	uint32_t gid; /* UINT32_MAX: as it comes */
	uint32_t backlog;
};

uint64_t evri_meet_hash(const void *data, size_t bytes);
int evri_meet_place_take(const struct evri_meet_place_options *options,
			 struct evri_meet_place *ret);
/* Removes the file if it is ours, then closes. @unlink: false in a forked child. */
void evri_meet_place_leave(struct evri_meet_place *place, bool unlink);

/* ---- meet_listen.c ---- */

struct evri_meet_offer {
	struct evr_region *region; /* NULL: this slot is free */
	bool with_bells;
	char name[EVR_NAME_BYTES];
};

enum evri_meet_state {
	EVRI_MEET_FREE = 0,
	EVRI_MEET_WANT_HELLO,
	EVRI_MEET_WANT_ATTACHED,
};

/* A client in the middle of the handshake. */
struct evri_meet_pending {
	enum evri_meet_state state;
	int fd;
	uint64_t deadline_ns;
	struct evr_credentials who;
	uint32_t api_version;
	uint32_t offer;
	bool stands_by;
	int bell_fd;
	int own_fd;
};

/* One who waits for the listener's end. */
struct evri_meet_standby {
	int fd; /* -1: this slot is free */
	uint32_t offer;
};

struct evr_listener {
	struct evri_meet_place place;
	struct evri_meet_policy policy;
	int64_t pid;
	int poller_fd;
	int timer_fd;
	int stop_fd; /* of a thread of its own; -1: none */
	pthread_t thread;
	void (*attached)(void *context, const struct evr_peer *peer);
	void *attached_context;
	bool watches_forks;
	struct evri_os_forked forked;
	/* Of all that follows and of each step of a handshake; never held while
	 * waiting for anybody. Callbacks inside a step may fork, which takes it again. */
	pthread_mutex_t lock;
	void (*refused)(void *context, const struct evr_credentials *who, int error,
			const char *reason);
	void *context;
	struct evri_meet_offer *offers;
	uint32_t offers_count;
	uint32_t pendings_count; /* slots */
	uint32_t pendings_used;
	struct evri_meet_pending *pendings;
	uint32_t standbys_count; /* slots */
	struct evri_meet_standby *standbys;
};

/* Whose turn it is, from the poller; any other is the index of a pending one, or of one
 * who stands by. */
#define EVRI_MEET_KEY_LISTEN UINT64_MAX
#define EVRI_MEET_KEY_TIMER (UINT64_MAX - 1)
#define EVRI_MEET_KEY_STOP (UINT64_MAX - 2)
#define EVRI_MEET_KEY_STANDBY (UINT64_C(1) << 32)

struct evri_meet_offer *evri_meet_offer_find(struct evr_listener *listener,
					     const char *name);
/* A lock that a callback may meet again, when it forks. */
int evri_meet_lock_init(pthread_mutex_t *lock);
/* In a child made by fork(): makes the copy's lock anew, and closes what it has open. */
void evri_meet_listener_abandon(struct evr_listener *listener);

/* ---- meet_accept.c ---- */

void evri_meet_pending_drop(struct evr_listener *listener,
			    struct evri_meet_pending *pending);
void evri_meet_standby_drop(struct evr_listener *listener,
			    struct evri_meet_standby *standby);
/* evr_accept() for whoever serves; -ECANCELED: the stop event. */
int evri_meet_accept(struct evr_listener *listener, uint64_t deadline_ns,
		     struct evr_peer *ret_peer);

/* ---- meet_serve.c ---- */

/* Accepts until @stop_fd is readable: -ECANCELED; or for ever something is wrong. */
int evri_meet_serve(struct evr_listener *listener, int stop_fd);
/* Ends the thread, if the listener has one. */
void evri_meet_serve_stop(struct evr_listener *listener);

/* ---- meet_connect.c ---- */

/* For one who comes in to stand by. */
struct evri_meet_stand {
	/* Locked before the listener's WELCOME, so that whoever listens after its end
	 * sees the lock; unlocked if it does not come. */
	int directory_fd;
	uint64_t byte;
	/* What became of it. */
	int connection_fd; /* -1: the listener keeps no more of them */
	uint32_t rank;	   /* among those who stand by */
};

/* @stand: NULL for evr_connect(). */
int evri_meet_connect(const struct evr_connect_options *options, uint64_t deadline_ns,
		      struct evri_meet_stand *stand, struct evr_region **ret_region,
		      struct evr_peer *ret_peer);

/* A member looks for the next listener: says hello without waiting, and takes the answer
 * when there is one. @ret_rank: -1 if the listener keeps no more connections. */
int evri_meet_return(const struct evr_connect_options *options,
		     const struct evr_region *region, int *ret_fd);
int evri_meet_returned(int fd, const char *address, int64_t *ret_rank);

#endif

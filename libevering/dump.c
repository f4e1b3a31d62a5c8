/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* dump.c - see <evering/dump.h>. First what stands out, then the tables. */

#include <evering/dump.h>
#include <evering/error.h>

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dump_internal.h"
#include "text.h"

/* A name out of shared memory may hold anything; a terminal would obey some of it. */
static const char *printable(const char *name, char ret[EVR_NAME_BYTES])
{
	size_t i;

	for (i = 0; i < EVR_NAME_BYTES - 1 && name[i]; i++)
		ret[i] = isprint((unsigned char)name[i]) ? name[i] : '?';
	ret[i] = '\0';
	return ret;
}

static const char *life_name(enum evri_dump_life life)
{
	switch (life) {
	case EVRI_DUMP_ALIVE:
		return "alive";
	case EVRI_DUMP_STOPPED:
		return "STOPPED";
	case EVRI_DUMP_DYING:
		return "DEAD, unnoticed";
	default:
		return "DEAD";
	}
}

static uint32_t held_by(const struct evri_dump_participant *who)
{
	return who->cached + who->owned + who->requests + who->responses;
}

/* ---- what stands out ---- */

static uint32_t tell_participants_trouble(struct evri_text *text,
					  const struct evri_dump *dump)
{
	uint32_t told = 0;

	for (uint32_t i = 0; i < dump->participants_count; i++) {
		const struct evri_dump_participant *who = &dump->participants[i];

		if (who->life == EVRI_DUMP_STOPPED) {
			evri_say(text,
			    "  ! participant %u (pid %" PRId64
			    ") is stopped; in its hands: "
			    "requests %u, other blocks %u: kill -CONT %" PRId64 "\n",
			    who->number, who->pid, who->requests,
			    held_by(who) - who->requests, who->pid);
			told++;
		} else if (who->life != EVRI_DUMP_ALIVE) {
			evri_say(text,
			    "  ! participant %u (pid %" PRId64
			    ") is dead, and the %u blocks it"
			    " held are not back: evr_recover() fetches them\n",
			    who->number, who->pid, held_by(who));
			told++;
		}
	}
	return told;
}

static uint32_t tell_pool_trouble(struct evri_text *text, const struct evri_dump *dump)
{
	uint32_t told = 0;

	if (!dump->pool) {
		evri_say(text, "  ! there is no usable pool: %s\n",
		    evr_strerror(dump->pool_error));
		return 1;
	}
	for (uint32_t i = 0; i < dump->pool->classes_count; i++) {
		uint64_t bytes = dump->pool->classes[i].payload_bytes;

		if (dump->classes[i].bits == 0) {
			evri_say(text,
			    "  ! class of %" PRIu64
			    " bytes: no free block; %u are cached by "
			    "agents (evr_agent_flush() gives them back)\n",
			    bytes, dump->classes[i].states[EVR_BLOCK_CACHED]);
			told++;
		}
		if (dump->classes[i].odd) {
			evri_say(text,
			    "  ! class of %" PRIu64
			    " bytes: the words of %u blocks are none: "
			    "somebody has overwritten them\n",
			    bytes, dump->classes[i].odd);
			told++;
		}
	}
	return told;
}

static uint32_t tell_urings_trouble(struct evri_text *text, const struct evri_dump *dump)
{
	char name[EVR_NAME_BYTES];
	uint32_t told = 0;

	for (uint32_t i = 0; i < dump->urings_count; i++) {
		const struct evri_dump_uring *uring = &dump->urings[i];

		printable(uring->name, name);
		if (uring->broken) {
			evri_say(text,
				 "  ! uring \"%s\": its header contradicts itself\n",
			    name);
			told++;
		} else if (uring->queued) {
			evri_say(text,
			    "  ! uring \"%s\": %" PRIu64
			    " requests wait for a completer%s\n",
			    name, uring->queued,
			    evr_load_relaxed_u64(&uring->uring.shared->bell.word) &
					    EVR_DOORBELL_SLEEPER
				    ? "; one may be asleep"
				    : "");
			told++;
		}
	}
	return told;
}

static void tell_what_stands_out(struct evri_text *text, const struct evri_dump *dump)
{
	evri_say(text, "what stands out\n");
	if (tell_participants_trouble(text, dump) + tell_pool_trouble(text, dump) +
		    tell_urings_trouble(text, dump) ==
	    0)
		evri_say(text, "  nothing\n");
}

/* ---- the tables ---- */

static void tell_region(struct evri_text *text, const struct evr_region *region)
{
	uint32_t status = evr_load_relaxed_u32(&region->shared->status);

	evri_say(text,
	    "region %04x: %" PRIu64 " bytes in pages of %" PRIu64
	    " KiB, layout version %u, %s;"
	    " told by participant %u\n",
	    region->tag, region->bytes, region->page_bytes >> 10, EVR_LAYOUT_VERSION,
	    status == EVR_REGION_INITIALIZED ? "initialized" : "CORRUPTED",
	    region->number);
}

static void tell_participants(struct evri_text *text, const struct evri_dump *dump)
{
	uint64_t now_ns = evri_os_now_ns();

	evri_say(text, "\nparticipants: %u of %u records in use; blocks in their hands\n",
	    dump->participants_count, dump->region->participants_count);
	evri_say(text, "  %6s %8s %9s %6s %7s %6s %8s %9s %6s  %s\n", "number", "pid",
	    "joined", "agents", "working", "idle", "answered", "magazine", "queued",
	    "state");
	for (uint32_t i = 0; i < dump->participants_count; i++) {
		const struct evri_dump_participant *who = &dump->participants[i];
		uint64_t ago_ns = who->joined_ns < now_ns ? now_ns - who->joined_ns : 0;

		evri_say(text,
		    "  %6u %8" PRId64 " %7" PRIu64 " s %6u %7u %6u %8u %9u %6u  %s\n",
		    who->number, who->pid, ago_ns / UINT64_C(1000000000),
		    who->agents_count, who->requests, who->owned, who->responses,
		    who->cached, who->queued, life_name(who->life));
	}
}

static void tell_wire(struct evri_text *text, const char *what, uint64_t wire)
{
	evri_say(text, "%s block %" PRIu64 " generation %" PRIu64, what,
	    (wire & EVR_TOKEN_WIRE_MASK) >> EVR_TOKEN_GENERATION_BITS,
	    wire & EVR_TOKEN_GENERATION_MASK);
}

/* Only agents that are in the middle of something. */
static void tell_intents(struct evri_text *text, const struct evr_region *region)
{
	bool any = false;

	for (uint32_t i = 0; i < region->agents_count; i++) {
		const struct evr_agent_shared *agent = &region->agents[i];
		uint64_t word = evr_load_acquire_u64(&agent->word);
		uint64_t bitmap = evr_load_relaxed_u64(&agent->bitmap_intent);
		uint64_t intents[EVR_AGENT_INTENTS];
		uint64_t set = 0;

		for (int k = 0; k < EVR_AGENT_INTENTS; k++) {
			intents[k] = evr_load_relaxed_u64(&agent->intent[k]);
			set |= intents[k] & EVR_INTENT_SET;
		}
		if (word >> 56 != EVR_AGENT_USED || (!set && !bitmap))
			continue;
		if (!any)
			evri_say(text,
				 "\nintents: agents that were inside an operation\n");
		any = true;
		evri_say(text, "  agent %u of participant %u:", i, (uint32_t)word);
		if (bitmap)
			evri_say(text, " at bitmap word %" PRIu64, bitmap - 1);
		for (int k = 0; k < EVR_AGENT_INTENTS; k++)
			if (intents[k] & EVR_INTENT_SET)
				tell_wire(text, " taking", intents[k]);
		evri_say(text, "\n");
	}
}

static void tell_requests(struct evri_text *text, const struct evri_dump *dump)
{
	uint32_t told = dump->requests_count;

	if (told == 0)
		return;
	if (told > EVRI_DUMP_REQUESTS_MAX)
		told = EVRI_DUMP_REQUESTS_MAX;
	evri_say(text, "\nrequests in work: %u%s\n", dump->requests_count,
	    told < dump->requests_count ? ", the first of them" : "");
	for (uint32_t i = 0; i < told; i++) {
		const struct evri_dump_request *request = &dump->requests[i];
		const struct evri_dump_participant *holder =
			evri_dump_find(dump, request->holder);

		evri_say(text,
		    "  block %u: operation %" PRIu64
		    " of participant %u, %u bytes, attempt %u,"
		    " in the hands of participant %u (%s)\n",
		    request->index, request->operation, request->submitter,
		    request->length_bytes, request->attempts + 1, request->holder,
		    holder ? life_name(holder->life) : "gone");
	}
}

static bool holds_any(const struct evr_pool_held *held)
{
	return held->cached | held->owned | held->requests | held->responses |
	       held->queued;
}

/* The class as a whole, and beneath it whoever has any of its blocks. */
static void tell_class(struct evri_text *text, const struct evri_dump *dump,
		       uint32_t class_index)
{
	const struct evri_dump_class *class = &dump->classes[class_index];

	evri_say(text, "  class of %" PRIu64 " bytes: %u blocks\n",
		 dump->pool->classes[class_index].payload_bytes, class->blocks);
	evri_say(text, "  %16s %8s %8s %8s %8s %8s %8s %9s %8s\n", "", "free",
		 "magazine", "idle", "working", "answered", "queued", "contained",
		 "retired");
	evri_say(text, "  %16s %8u %8u %8u %8u %8u %8u %9u %8u\n", "all", class->bits,
		 class->states[EVR_BLOCK_CACHED],
		 class->states[EVR_BLOCK_OWNED] + class->states[EVR_BLOCK_BURST],
		 class->states[EVR_BLOCK_REQ], class->states[EVR_BLOCK_RESP],
		 class->queued, class->states[EVR_BLOCK_IN],
		 class->states[EVR_BLOCK_RETIRED]);
	for (uint32_t i = 0; i < dump->participants_count; i++) {
		const struct evr_pool_held *held = evri_dump_held(dump, class_index, i);

		if (holds_any(held))
			evri_say(text, "  participant %4u %8s %8u %8u %8u %8u %8u\n",
				 held->number, "", held->cached, held->owned,
				 held->requests, held->responses, held->queued);
	}
}

static void tell_classes(struct evri_text *text, const struct evri_dump *dump)
{
	if (!dump->pool)
		return;
	evri_say(text, "\npool: %u blocks%s\n", evr_pool_blocks(dump->pool),
		 dump->pool->flags & EVR_POOL_UNTRACKED
			 ? " (untracked: cached and idle are not told apart)"
			 : "");
	for (uint32_t i = 0; i < dump->pool->classes_count; i++)
		tell_class(text, dump, i);
}

static void tell_ring(struct evri_text *text, const char *what,
		      const struct evr_ring *ring)
{
	bool closed;
	uint64_t fill = evri_dump_ring_fill(ring, &closed);

	evri_say(text, "%s %" PRIu64 " of %" PRIu64 "%s", what, fill, ring->mask + 1,
	    closed ? " (closed)" : "");
}

static void tell_bell(struct evri_text *text, const struct evr_doorbell_shared *bell)
{
	uint64_t backstops = evr_doorbell_backstops(bell);

	evri_say(text, "; %s",
	    evr_load_relaxed_u64(&bell->word) & EVR_DOORBELL_SLEEPER
		    ? "somebody may sleep"
		    : "nobody sleeps");
	if (backstops)
		evri_say(text, ", %" PRIu64 " wakes came by the back-stop", backstops);
	evri_say(text, "\n");
}

static void tell_homes(struct evri_text *text, const struct evri_dump *dump,
		       const struct evri_uring *uring)
{
	for (uint32_t slot = 0; slot < uring->homes_count; slot++) {
		const struct evr_home_shared *home = evri_home_at(uring, slot);
		uint64_t word = evr_load_acquire_u64(&home->word);
		const struct evri_dump_participant *who =
			evri_dump_find(dump, (uint32_t)word);
		struct evr_ring ring;

		if (evri_home_word_state(word) != EVR_HOME_OPEN)
			continue;
		evri_say(text, "    home %u: submitter is participant %u (%s);", slot,
		    (uint32_t)word, who ? life_name(who->life) : "gone");
		if (evri_home_ring(uring, slot, EVRI_HOME_COMPLETIONS, &ring) == 0)
			tell_ring(text, " completions", &ring);
		if (evri_home_ring(uring, slot, EVRI_HOME_RETURNS, &ring) == 0)
			tell_ring(text, ", returns", &ring);
		tell_bell(text, &home->bell);
	}
}

static void tell_urings(struct evri_text *text, const struct evri_dump *dump)
{
	char name[EVR_NAME_BYTES];
	struct evr_ring ring;

	for (uint32_t i = 0; i < dump->urings_count; i++) {
		const struct evri_dump_uring *uring = &dump->urings[i];

		if (uring->broken || evri_uring_submissions(&uring->uring, &ring) < 0)
			continue;
		evri_say(text, "  uring \"%s\"%s;", printable(uring->name, name),
		    uring->closed ? ", SHUT DOWN" : "");
		tell_ring(text, " submissions", &ring);
		tell_bell(text, &uring->uring.shared->bell);
		tell_homes(text, dump, &uring->uring);
	}
}

static const char *entry_state(uint32_t state)
{
	switch (state) {
	case EVRI_ENTRY_BUILDING:
	case EVRI_ENTRY_NAMED:
		return "being made";
	case EVRI_ENTRY_READY:
		return "ready";
	case EVRI_ENTRY_ABORTED:
	case EVRI_ENTRY_SPARE:
		return "spare";
	default:
		return "?";
	}
}

static void tell_directory(struct evri_text *text, struct evr_region *region)
{
	static const char *const kinds[] = {"?",     "pool",   "ring",
					    "uring", "extent", "inline ring"};
	struct evri_directory_cursor cursor = {0};
	struct evri_object object;
	struct evr_ring ring;
	char name[EVR_NAME_BYTES];

	while (evri_directory_next(region, &cursor, &object)) {
		evri_say(text, "  %-5s \"%s\": %" PRIu64 " KiB at %" PRIu64 " KiB, %s",
		    kinds[object.kind < 6 ? object.kind : 0],
		    printable(object.name, name), object.bytes >> 10, object.offset >> 10,
		    entry_state(object.state));
		if (object.state == EVRI_ENTRY_READY && object.kind == EVRI_OBJECT_RING &&
		    evri_ring_bind(object.address, object.bytes, 0, &ring) == 0)
			tell_ring(text, "; blocks", &ring);
		evri_say(text, ", by participant %u\n", object.owner);
	}
}

int evr_region_dump(struct evr_region *region, int fd)
{
	struct evri_text text = {.fd = fd};
	struct evri_dump dump;
	int error = evri_dump_gather(region, &dump);

	if (error == 0) {
		tell_region(&text, region);
		tell_what_stands_out(&text, &dump);
		tell_participants(&text, &dump);
		tell_intents(&text, region);
		tell_requests(&text, &dump);
		tell_classes(&text, &dump);
		evri_say(&text, "\nrings\n");
		tell_urings(&text, &dump);
		evri_say(&text, "\ndirectory\n");
		tell_directory(&text, region);
		evri_flush(&text);
		error = text.error;
	}
	evri_dump_free(&dump);
	return error;
}

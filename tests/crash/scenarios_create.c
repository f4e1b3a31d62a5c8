/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * scenarios_create.c - making a region, and those who come to it before it is made.
 *
 * Nobody can see a region that is being made, unless somebody gets at its memory file:
 * a child that was forked meanwhile has the descriptor, and so has whoever opens it below
 * /proc. The harness does that at each point, and sends comers to the file: while its
 * creator lives, when it is dead, and when it has gone on and finished. What the bytes
 * say then (docs/LAYOUT.md) is what they must be told: it is no region; it is none yet;
 * it will never be one; or they are in.
 *
 * Descriptors are numbered from the lowest that is free, and the file is the first thing
 * that creation opens: so its number is known before.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "scenarios.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "region_internal.h"

/* Tables for three, and what they take. */
#define NEW_PARTICIPANTS 3
#define NEW_AGENTS 3
#define NEW_BYTES (24 * 1024)
#define HUGE_BYTES (UINT64_C(2) << 20)

/* For one comer, who has nothing to wait for. */
#define COMER_SECONDS 5
#define COMER_COMPLAINED 255

/* What was seen: each must come up. */
enum {
	SAW_NO_FILE = 1,
	SAW_NO_REGION = 2,
	SAW_UNFINISHED = 4,
	SAW_ABANDONED = 8,
	SAW_REGION = 16,
};

/* The file of this experiment; -1: there is none yet. */
static int file = -1;
static char name[32];

static const char *new_name(void)
{
	if (!name[0])
		snprintf(name, sizeof(name), "half-made-%d", getpgrp());
	return name;
}

/* ---- the victim ---- */

static void enter_create(struct party *victim)
{
	int lowest = dup(STDERR_FILENO);

	if (lowest < 0)
		complain(victim, "no descriptor: %s", strerror(errno));
	close(lowest);
	victim->board->file = (uint32_t)lowest;
	new_name();
}

static void create(struct party *victim, uint64_t bytes, uint64_t page_bytes)
{
	struct evr_region_options options = {
		.size = sizeof(options),
		.bytes = bytes,
		.page_bytes = page_bytes,
		.participants = NEW_PARTICIPANTS,
		.agents = NEW_AGENTS,
		.name = name,
	};

	victim->result = evr_region_create(&options, &victim->second_region);
}

static void do_create(struct party *victim)
{
	create(victim, NEW_BYTES, EVR_PAGE_4K);
}

static void do_create_huge(struct party *victim)
{
	create(victim, HUGE_BYTES, EVR_PAGE_2M);
}

/* It stays in its region, and dies there in the end. */
static void leave_create(struct party *victim)
{
	MUST(victim, victim->result);
}

/* ---- the file ---- */

/* Opened anew, as by one who knows nothing of the victim but its PID; -1: not there. */
static int open_file(const struct board *board, pid_t victim)
{
	char path[64], target[64];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%d/fd/%u", victim, board->file);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return -1;
	target[length] = '\0';
	if (!strstr(target, new_name()))
		return -1;
	return open(path, O_RDWR | O_CLOEXEC);
}

/* Read and not mapped, so that looking takes no page. */
static const void *look_at_file(struct party *house, pid_t victim, size_t *ret_bytes)
{
	static char bytes[NEW_BYTES];
	int fd = open_file(house->board, victim);
	ssize_t length = fd < 0 ? 0 : pread(fd, bytes, sizeof(bytes), 0);

	if (fd >= 0)
		close(fd);
	*ret_bytes = length < 0 ? 0 : (size_t)length;
	return bytes;
}

/* What one who comes to it must be told. */
static int expected_of(int fd, bool creator_lives)
{
	struct evr_region_shared header = { 0 };
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || !(seals & F_SEAL_SHRINK) ||
	    pread(fd, &header, sizeof(header), 0) != sizeof(header) ||
	    header.magic != EVR_REGION_MAGIC)
		return -EMEDIUMTYPE;
	if (header.status.raw == EVR_REGION_INITIALIZED)
		return 0;
	return creator_lives ? -EAGAIN : -ENOTRECOVERABLE;
}

static uint32_t outcome_of(int result)
{
	return result == 0	      ? SAW_REGION :
	       result == -EAGAIN      ? SAW_UNFINISHED :
	       result == -EMEDIUMTYPE ? SAW_NO_REGION :
					SAW_ABANDONED;
}

/* ---- comers ---- */

static uint32_t alive_in(const struct evr_region *region)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < evr_participant_records(region); i++) {
		struct evr_participant_info info;

		count += evr_participant_get(region, i, &info) == 0 &&
			 info.state == EVR_PARTICIPANT_ALIVE;
	}
	return count;
}

/* Who got in finds a region that works, and its creator as it is. */
static void use(struct party *house, struct evr_region *region, bool creator_lives)
{
	struct evr_pool_class class = { PAYLOAD_BYTES, 4, 0 };
	struct evr_pool_options options = { .size = sizeof(options),
					    .classes = &class,
					    .classes_count = 1 };
	struct evr_pool *pool;
	struct evr_agent agent;
	struct evr_block block = { 0 };
	int dead = evr_participant_find_dead(region);

	if (dead != !creator_lives)
		complain(house, "a comer sees %d dead, the creator %s", dead,
			 creator_lives ? "lives" : "is dead");
	/* Only one can make the pool, and where the creator lives others come later. */
	if (!creator_lives) {
		MUST(house, evr_pool_create(region, &options, &pool));
		MUST(house, evr_agent_open(pool, &agent));
		MUST(house, evr_recover(&agent, NULL));
		MUST(house, evr_block_alloc(&agent, PAYLOAD_BYTES, &block));
		memset(block.payload, 1, PAYLOAD_BYTES);
		MUST(house, evr_block_free(&agent, block.token));
		evr_agent_close(&agent);
		evr_pool_close(pool);
	}
	if (alive_in(region) != 1U + creator_lives)
		complain(house, "%u are alive in a comer's region", alive_in(region));
}

/* Of both ways in, which must say the same. */
static int come(struct party *house, bool creator_lives)
{
	struct evr_region *looked, *region;
	int error = evr_region_attach_read_only(file, &looked);
	int second = evr_region_attach(file, &region);

	if (error == 0)
		evr_region_detach(looked);
	if (error != second)
		complain(house, "who looks is told %d, who joins %d", error, second);
	if (second == 0) {
		use(house, region, creator_lives);
		evr_region_detach(region);
	}
	return second;
}

/* In a process of its own, which may hang or get a signal. */
static void send_comer(struct party *house, bool creator_lives)
{
	int expected = expected_of(file, creator_lives);
	int status = 0;
	pid_t comer = fork();

	if (comer == 0) {
		int result;

		alarm(COMER_SECONDS);
		signal(SIGALRM, SIG_DFL);
		result = come(house, creator_lives);
		_exit(house->board->complaint[HOUSE][0] ? COMER_COMPLAINED : -result);
	}
	while (waitpid(comer, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		complain(house, "a comer, the creator %s, %s (signal %d)",
			 creator_lives ? "stopped" : "dead",
			 WTERMSIG(status) == SIGALRM ? "hangs" : "was killed",
			 WTERMSIG(status));
	else if (WEXITSTATUS(status) != -expected)
		complain(house, "a comer, the creator %s, is told %d instead of %d",
			 creator_lives ? "stopped" : "dead", -WEXITSTATUS(status),
			 expected);
	house->board->outcomes |= outcome_of(expected);
}

static uint64_t huge_pages(const char *which)
{
	char path[96], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-2048kB/%s",
		 which);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	return strtoull(text, NULL, 10);
}

bool huge_page_free(void)
{
	return huge_pages("free_hugepages") > huge_pages("resv_hugepages");
}

/* ---- the harness's part ---- */

/* Pages that are taken, by this file among others. */
static uint64_t blocks_of(int fd)
{
	struct stat status = { 0 };

	(void)!fstat(fd, &status);
	return (uint64_t)status.st_blocks;
}

static void come_while_it_stops(struct party *house, pid_t victim)
{
	uint64_t before;

	if (file >= 0)
		close(file);
	file = open_file(house->board, victim);
	if (file < 0) {
		house->board->outcomes |= SAW_NO_FILE;
		return;
	}
	before = blocks_of(file);
	send_comer(house, true);
	/* Who is refused has taken nothing: no huge page that somebody else wants. */
	if (expected_of(file, true) < 0 && blocks_of(file) != before)
		complain(house, "a comer who is refused takes memory, %lu of %lu bytes",
			 512 * (blocks_of(file) - before), 512 * blocks_of(file));
}

/* The creator is dead, or has finished. */
static void come_afterwards(struct party *house)
{
	bool lives = !house->board->cut_short;

	if (file < 0)
		return;
	if (lives && expected_of(file, true) != 0)
		complain(house, "the creator finished, and there is no region");
	send_comer(house, lives);
	close(file);
	file = -1;
}

const struct scenario scenario_create = {
	.name = "create",
	.about = "making a region, to which others come before it is made",
	.stride = 101,
	.modes = MODES_ALONE,
	.geometry = &geometry_small,
	.outcomes_wanted = SAW_NO_FILE | SAW_NO_REGION | SAW_UNFINISHED | SAW_REGION,
	.look = look_at_file,
	.enter = enter_create,
	.operate = do_create,
	.leave = leave_create,
	.reached = come_while_it_stops,
	.conclude = come_afterwards,
};

const struct scenario scenario_create_huge = {
	.name = "create-huge",
	.about = "making a region of 2 MiB pages",
	.stride = 1013,
	.modes = MODES_ALONE,
	.geometry = &geometry_small,
	.needs_huge_page = true,
	.outcomes_wanted = SAW_NO_FILE | SAW_NO_REGION | SAW_UNFINISHED | SAW_REGION,
	.look = look_at_file,
	.enter = enter_create,
	.operate = do_create_huge,
	.leave = leave_create,
	.reached = come_while_it_stops,
	.conclude = come_afterwards,
};

/* ---- when all is over ---- */

/* Is the file among a process's descriptors? */
static bool has_open(const char *process)
{
	char path[300];
	DIR *stream;
	struct dirent *entry;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%s/fd", process);
	stream = opendir(path);
	while (stream && !found && (entry = readdir(stream)) != NULL) {
		char target[64] = "";
		ssize_t length = readlinkat(dirfd(stream), entry->d_name, target,
					    sizeof(target) - 1);

		found = length > 0 && strstr(target, new_name());
	}
	if (stream)
		closedir(stream);
	return found;
}

/* Among its mappings? */
static bool has_mapped(const char *process)
{
	char path[300], line[400];
	bool found = false;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%s/maps", process);
	maps = fopen(path, "re");
	while (maps && !found && fgets(line, sizeof(line), maps))
		found = strstr(line, new_name()) != NULL;
	if (maps)
		fclose(maps);
	return found;
}

/* The memory of a file without a name is there for as long as somebody has it open or
 * mapped: so nobody may. */
const char *create_leftovers(void)
{
	static char text[360];
	DIR *processes = opendir("/proc");
	struct dirent *entry;

	text[0] = '\0';
	while (processes && (entry = readdir(processes)) != NULL)
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
		    (has_open(entry->d_name) || has_mapped(entry->d_name)))
			snprintf(text, sizeof(text), "process %s has a file %s",
				 entry->d_name, new_name());
	if (processes)
		closedir(processes);
	return text[0] ? text : NULL;
}

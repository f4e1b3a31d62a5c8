/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_TESTS_MACHINE_H
#define EVERING_TESTS_MACHINE_H

/*
 * machine.h - what there is on this machine that processes could leave behind.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

/* What is ours, where others have something too. */
struct names {
	const char *directory;
	const char *abstract;
	const char *region;
};

struct machine {
	int64_t shared_memory_bytes;
	int64_t huge_free;
	int64_t huge_reserved;
	int64_t huge_surplus;
	int names;   /* in /dev/shm */
	int sockets; /* in this network namespace, or of our names */
	int holders; /* processes that have one of our regions */
	int children;
};

static int64_t meminfo(const char *key)
{
	FILE *file = fopen("/proc/meminfo", "re");
	size_t length = strlen(key);
	char line[128];
	int64_t value = -1;

	while (file && value < 0 && fgets(line, sizeof(line), file))
		if (strncmp(line, key, length) == 0 && line[length] == ':')
			value = strtoll(line + length + 1, NULL, 10);
	if (file)
		fclose(file);
	return value;
}

static int names_in(const char *path)
{
	DIR *stream = opendir(path);
	int count = -2;

	if (!stream)
		return -1;
	while (readdir(stream))
		count++;
	closedir(stream);
	return count;
}

static int lines_with(const char *path, const char *text)
{
	FILE *file = fopen(path, "re");
	char line[512];
	int count = 0;

	while (file && fgets(line, sizeof(line), file))
		count += strstr(line, text) != NULL;
	if (file)
		fclose(file);
	return count;
}

static bool has_open(const char *process, const char *text)
{
	char path[300];
	DIR *stream;
	struct dirent *entry;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%s/fd", process);
	stream = opendir(path);
	while (stream && !found && (entry = readdir(stream)) != NULL) {
		char target[64] = "";

		found = readlinkat(dirfd(stream), entry->d_name, target,
				   sizeof(target) - 1) > 0 &&
			strstr(target, text);
	}
	if (stream)
		closedir(stream);
	return found;
}

/* Memory without a name is there for as long as somebody has it open or mapped. */
static int holders_of(const char *text)
{
	DIR *stream = opendir("/proc");
	struct dirent *entry;
	int count = 0;

	while (stream && (entry = readdir(stream)) != NULL) {
		char maps[300];

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		snprintf(maps, sizeof(maps), "/proc/%s/maps", entry->d_name);
		count += has_open(entry->d_name, text) || lines_with(maps, text) > 0;
	}
	if (stream)
		closedir(stream);
	return count;
}

/* With a network namespace of our own all sockets in it are ours, nameless ones too. */
static bool own_network;

static int sockets_now(const struct names *names)
{
	const char *sockets = "/proc/self/net/unix";

	return own_network ? lines_with(sockets, ":") :
			     lines_with(sockets, names->directory) +
				     lines_with(sockets, names->abstract);
}

/* Where that is allowed, all sockets and all of /dev/shm that we see are our own. */
static void leave_the_others(void)
{
	own_network = unshare(CLONE_NEWNET) == 0;
	if (unshare(CLONE_NEWNS) == 0 &&
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
		(void)!mount("shm", "/dev/shm", "tmpfs", 0, NULL);
}

static struct machine machine_now(const struct names *names)
{
	return (struct machine){
		.shared_memory_bytes = meminfo("Shmem") * 1024,
		.huge_free = meminfo("HugePages_Free"),
		.huge_reserved = meminfo("HugePages_Rsvd"),
		.huge_surplus = meminfo("HugePages_Surp"),
		.names = names_in("/dev/shm"),
		.sockets = sockets_now(names),
		.holders = holders_of(names->region),
		.children = waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : 1,
	};
}

#endif

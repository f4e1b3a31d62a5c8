/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* meet_name.c - addresses that a program does not make up: inherited, or by a name. */

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meet_internal.h"

/* ---- what the service manager passed ---- */

#define INHERITED_FIRST_FD 3
#define INHERITED_MAX 4096

/* A decimal number and nothing else; -1 otherwise. */
static int64_t number_of(const char *text)
{
	char *end;
	long long value;

	if (*text < '0' || *text > '9')
		return -1;
	value = strtoll(text, &end, 10);
	return *end == '\0' && value < INT_MAX ? value : -1;
}

/* The index of @name in a list with colons, not beyond @count; -1: not there. */
static int64_t index_of(const char *names, const char *name, int64_t count)
{
	size_t length = strlen(name);

	for (int64_t i = 0; i < count; i++) {
		size_t here = strcspn(names, ":");

		if (here == length && memcmp(names, name, length) == 0)
			return i;
		if (names[here] == '\0')
			break;
		names += here + 1;
	}
	return -1;
}

int evr_inherited_fd(const char *name, int *ret_fd)
{
	const char *pid_text = evri_os_environment("LISTEN_PID");
	const char *count_text = evri_os_environment("LISTEN_FDS");
	const char *names = evri_os_environment("LISTEN_FDNAMES");
	int64_t index = 0;
	int64_t count;
	int64_t pid;
	int fd;
	int error;

	if (!pid_text || !count_text)
		return evri_fail(-ENOENT, "no descriptors were passed to this program: "
					  "LISTEN_PID or LISTEN_FDS is not set");
	pid = number_of(pid_text);
	count = number_of(count_text);
	if (pid <= 0 || count < 0 || count > INHERITED_MAX)
		return evri_fail(-EINVAL,
				 "LISTEN_PID '%.40s', LISTEN_FDS '%.40s': not "
				 "numbers of a process and of descriptors",
				 pid_text, count_text);
	if (pid != evri_os_pid())
		return evri_fail(-ENOENT,
				 "descriptors were passed to process %" PRId64
				 ", and this is %" PRId64,
				 pid, evri_os_pid());
	if (name)
		index = names ? index_of(names, name, count) : -1;
	if (index < 0 || index >= count)
		return evri_fail(-ENOENT,
				 "none of the %" PRId64 " descriptors that were "
				 "passed is named '%s': LISTEN_FDNAMES is '%.100s'",
				 count, name ? name : "", names ? names : "");
	fd = INHERITED_FIRST_FD + (int)index;
	error = evri_os_fd_set_close_on_exec(fd);
	if (error < 0)
		return evri_fail(error,
				 "descriptor %d should have been passed and is not "
				 "open",
				 fd);
	*ret_fd = fd;
	return 0;
}

/* ---- where a name's socket lies ---- */

#define NAME_MAX_BYTES 64
#define PATH_BYTES 108 /* what a socket's address holds */

static bool is_name(const char *name)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789._-";
	size_t length = strlen(name);

	return length >= 1 && length <= NAME_MAX_BYTES && name[0] != '.' &&
	       strspn(name, allowed) == length;
}

static bool fits(int written)
{
	return written > 0 && written < PATH_BYTES;
}

/* Without an ending slash. */
static int choose_directory(char path[PATH_BYTES])
{
	const char *given = evri_os_environment("EVERING_RUNTIME_DIR");
	const char *runtime = evri_os_environment("XDG_RUNTIME_DIR");
	uint32_t uid, gid;
	int written;

	evri_os_own_ids(&uid, &gid);
	if (given && *given)
		written = snprintf(path, PATH_BYTES, "%s", given);
	else if (runtime && *runtime)
		written = snprintf(path, PATH_BYTES, "%s/evering", runtime);
	else if (uid == 0)
		written = snprintf(path, PATH_BYTES, "/run/evering");
	else
		written = snprintf(path, PATH_BYTES, "/tmp/evering-%u", uid);
	if (!fits(written))
		return evri_fail(-ENAMETOOLONG,
				 "the directory for sockets, %.80s..., is "
				 "longer than an address",
				 path);
	while (written > 1 && path[written - 1] == '/')
		path[--written] = '\0';
	return 0;
}

static int check_directory(const char *path)
{
	struct evri_os_file_id id;
	uint32_t uid, gid;
	int error = evri_os_directory_make(path);

	if (error < 0 && error != -EEXIST)
		return evri_fail(error, "the directory %s cannot be made: %s", path,
				 strerror(-error));
	error = evri_os_place_identify_at(path, &id);
	if (error < 0)
		return evri_fail(error, "the directory %s: %s", path, strerror(-error));
	if (id.is_link)
		return evri_fail(-ELOOP, "the directory %s is a symbolic link", path);
	if (!id.is_directory)
		return evri_fail(-ENOTDIR, "%s is no directory", path);
	evri_os_own_ids(&uid, &gid);
	if (id.uid != uid && id.uid != 0)
		return evri_fail(-EPERM,
				 "the directory %s belongs to uid %u, this is uid %u",
				 path, id.uid, uid);
	if (id.mode & 0022)
		return evri_fail(-EPERM,
				 "others may write to the directory %s: its mode "
				 "is %#o",
				 path, id.mode);
	return 0;
}

int evr_meet_path(const char *name, char *buffer, size_t bytes)
{
	char directory[PATH_BYTES];
	char path[PATH_BYTES + NAME_MAX_BYTES + 2];
	int written;
	int error;

	if (!name || !is_name(name))
		return evri_fail(-EINVAL,
				 "a name is 1 to %d of A-Z a-z 0-9 . _ - and does "
				 "not begin with a dot",
				 NAME_MAX_BYTES);
	error = choose_directory(directory);
	if (error == 0)
		error = check_directory(directory);
	if (error < 0)
		return error;
	written = snprintf(path, sizeof(path), "%s/%s", directory, name);
	if (!fits(written) || (size_t)written >= bytes)
		return evri_fail(-ENAMETOOLONG,
				 "%s: longer than an address or the buffer", path);
	memcpy(buffer, path, (size_t)written + 1);
	return 0;
}

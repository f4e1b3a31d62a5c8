/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* symbols.c - names for addresses, from this program's own symbol table. */

#include "crash.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const Elf64_Sym *table;
static size_t table_count;
static const char *names;

/* The program is linked at fixed addresses, so the table's values are the addresses. */
static void load_table(void)
{
	static bool tried;
	struct stat status;
	int fd;

	if (tried)
		return;
	tried = true;
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	const char *file = MAP_FAILED;
	if (fstat(fd, &status) == 0)
		file = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (file == MAP_FAILED)
		return;

	const Elf64_Ehdr *header = (const void *)file;
	const Elf64_Shdr *sections = (const void *)(file + header->e_shoff);
	for (int i = 0; i < header->e_shnum; i++) {
		if (sections[i].sh_type != SHT_SYMTAB)
			continue;
		table = (const void *)(file + sections[i].sh_offset);
		table_count = sections[i].sh_size / sizeof(*table);
		names = file + sections[sections[i].sh_link].sh_offset;
	}
}

const char *symbol_at(uint64_t address)
{
	static char text[2][120];
	static int turn;
	const Elf64_Sym *best = NULL;

	load_table();
	for (size_t i = 0; i < table_count; i++) {
		if (ELF64_ST_TYPE(table[i].st_info) == STT_FUNC &&
		    address >= table[i].st_value &&
		    address < table[i].st_value + table[i].st_size)
			best = &table[i];
	}
	turn = !turn;
	if (best)
		snprintf(text[turn], sizeof(text[turn]), "%s+0x%lx (0x%lx)",
			 names + best->st_name, address - best->st_value, address);
	else
		snprintf(text[turn], sizeof(text[turn]), "0x%lx", address);
	return text[turn];
}

bool symbol_find(const char *name, uint64_t *ret_begin, uint64_t *ret_end)
{
	load_table();
	for (size_t i = 0; i < table_count; i++) {
		if (ELF64_ST_TYPE(table[i].st_info) != STT_FUNC ||
		    strcmp(names + table[i].st_name, name) != 0)
			continue;
		*ret_begin = table[i].st_value;
		*ret_end = table[i].st_value + table[i].st_size;
		return true;
	}
	return false;
}

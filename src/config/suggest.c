/* SPDX-License-Identifier: Apache-2.0
 *
 * Optimal string alignment over three rows; words past 63 letters are never near to anything.
 */
#include "config/suggest.h"

#include <ctype.h>
#include <string.h>

#define MAX_LETTERS 63

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	unsigned least = a < b ? a : b;
	return least < c ? least : c;
}

static int letter(char c)
{
	return tolower((unsigned char)c);
}

unsigned suggest_distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	if (la > MAX_LETTERS || lb > MAX_LETTERS || la > lb + SUGGEST_MAX_SLIPS || lb > la + SUGGEST_MAX_SLIPS)
		return SUGGEST_MAX_SLIPS + 1;
	unsigned rows[3][MAX_LETTERS + 1];
	for (size_t j = 0; j <= lb; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned *row = rows[i % 3], *above = rows[(i - 1) % 3], *above2 = rows[(i + 1) % 3];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned differs = letter(a[i - 1]) != letter(b[j - 1]);
			row[j] = least(above[j] + 1, row[j - 1] + 1, above[j - 1] + differs);
			if (i > 1 && j > 1 && letter(a[i - 1]) == letter(b[j - 2]) &&
				letter(a[i - 2]) == letter(b[j - 1]) && above2[j - 2] + 1 < row[j])
				row[j] = above2[j - 2] + 1;
		}
	}
	unsigned slips = rows[la % 3][lb];
	return slips > SUGGEST_MAX_SLIPS ? SUGGEST_MAX_SLIPS + 1 : slips;
}

void suggest_offer(struct suggestion *suggestion, const char *candidate)
{
	unsigned slips = suggest_distance(suggestion->word, candidate);
	size_t len = strlen(suggestion->word);
	unsigned allowed = len <= 1 ? 0 : len <= 3 ? 1 : SUGGEST_MAX_SLIPS;
	if (slips > allowed || (suggestion->best && slips >= suggestion->distance))
		return;
	suggestion->best = candidate;
	suggestion->distance = slips;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * linkspan's entry point: finds the sub-command and calls it.
 */
#include <stdio.h>

int main(int argc, char **argv)
{
	(void)argc, (void)argv;
	printf("linkspan %s\n", LINKSPAN_VERSION);
	return 0;
}

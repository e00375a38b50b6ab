/* SPDX-License-Identifier: Apache-2.0
 *
 * Prints the JSON Schema of the test connectors, by which tests/integration/editor.py judges the files of this folder.
 */
#include "config/loader.h"
#include "tests/unit/config/connectors.h"

int main(void)
{
	config_write_schema_of(test_connectors, stdout);
	return fflush(stdout) == 0 ? 0 : 1;
}

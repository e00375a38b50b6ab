/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance of the Kafka connector as a source with static assignment.
 */
#include <stddef.h>

#include "tests/conformance/kafka_source_peer.h"

int main(void)
{
	return kafka_source_peer_main("conformance kafka source", NULL);
}

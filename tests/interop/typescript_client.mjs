// A client that uses the official TypeScript client package; a copy runs beside the installed package.
//
// Takes its order as JSON in argv[2]: mode (of the version negotiation; null for the package's default), command,
// environment (what the client's configuration adds), tool and tool_arguments. Prints what it saw as JSON.

import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const order = JSON.parse(process.argv[2]);
const options = order.mode ? { versionNegotiation: { mode: order.mode } } : {};
const client = new Client({ name: 'planhat-mcp-interop', version: '1' }, options);
const transport = new StdioClientTransport({ command: order.command, args: [], env: order.environment });

await client.connect(transport);
const { tools } = await client.listTools();
const result = await client.callTool({ name: order.tool, arguments: order.tool_arguments });
await client.close();
const text = (result.content ?? []).filter((block) => block.type === 'text').map((block) => block.text).join('');
console.log(JSON.stringify({ tools: tools.map((tool) => tool.name), text, is_error: Boolean(result.isError) }));

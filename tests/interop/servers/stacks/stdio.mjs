// A server of the TypeScript SDK on standard input and output, for a program that carries it to the network. Its argument is
// the folder of its packages.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const find = createRequire(join(process.argv[2], 'here.js'));
const load = (name) => import(pathToFileURL(find.resolve(name)));
const { McpServer } = await load('@modelcontextprotocol/sdk/server/mcp.js');
const { StdioServerTransport } = await load('@modelcontextprotocol/sdk/server/stdio.js');
const { z } = await load('zod');
const said = (text) => ({ content: [{ type: 'text', text }] });
const server = new McpServer({ name: 'stdio', version: '1' });
server.registerTool('echo', { inputSchema: { message: z.string() } }, async ({ message }) => said(`echo: ${message}`));
server.registerTool('large', { inputSchema: { length: z.number() } }, async ({ length }) => said('x'.repeat(length)));
server.registerTool('deploy', { inputSchema: { env: z.string() } }, async ({ env }) => {
  const requestedSchema = { type: 'object', properties: { confirm: { type: 'boolean' } }, required: ['confirm'] };
  const answer = await server.server.elicitInput({ message: `Deploy to ${env}?`, requestedSchema });
  return said(`deploy: ${answer.action}`);
});
await server.connect(new StdioServerTransport());

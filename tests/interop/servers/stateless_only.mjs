// A server of the official TypeScript SDK that speaks the stateless era alone. Its address is printed when it listens; what
// it has executed is counted in the file of the first argument. Run in the folder where its packages are installed.
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [, , executed, packages] = process.argv;
const find = createRequire(`${packages}/`);
const load = name => import(pathToFileURL(find.resolve(name)));
const { McpServer, acceptedContent, createMcpHandler, inputRequired } = await load('@modelcontextprotocol/server');
const { toNodeHandler } = await load('@modelcontextprotocol/node');
const zod = await load('zod');

const consent = zod.object({ confirm: zod.boolean() });
const text = words => ({ content: [{ type: 'text', text: words }] });

function serverOfOneRequest() {
  const server = new McpServer({ name: 'stateless-only', version: '1' }, { capabilities: { tools: { listChanged: true } } });
  server.registerTool('echo', { description: 'Says it again.', inputSchema: zod.object({ message: zod.string() }) },
    async ({ message }) => text(`echo: ${message}`));
  server.registerTool('deploy', { description: 'Deploys, when the person agrees.', inputSchema: zod.object({ env: zod.string() }) },
    async ({ env }, context) => {
      const given = acceptedContent(context.mcpReq.inputResponses, 'consent', consent);
      if (!given) {
        const question = inputRequired.elicit({ message: `Deploy to ${env}?`, requestedSchema: consent });
        return inputRequired({ inputRequests: { consent: question }, requestState: `asked for ${env}` });
      }
      appendFileSync(executed, 'deploy\n');
      return text(`deployed to ${env}: ${given.confirm}`);
    });
  server.registerTool('change', { description: 'Says that the tools have changed.' }, async () => {
    handler.notify.toolsChanged();
    return text('changed');
  });
  return server;
}

const handler = createMcpHandler(serverOfOneRequest, { legacy: 'reject' });
const front = createServer(toNodeHandler(handler));
front.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${front.address().port}/mcp`));

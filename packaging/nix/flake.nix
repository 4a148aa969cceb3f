# nix run "github:OWNER/planhat-mcp?dir=packaging/nix" builds from source. The version is that of Cargo.toml.
{
  description = "A local stdio MCP bridge to Planhat and any other OAuth-protected remote MCP server";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";

  outputs =
    { nixpkgs, ... }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      each = f: nixpkgs.lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
      facts = (builtins.fromTOML (builtins.readFile ../../Cargo.toml)).package;
    in
    {
      packages = each (pkgs: {
        default = pkgs.rustPlatform.buildRustPackage {
          pname = facts.name;
          version = facts.version;
          src = ../..;
          cargoLock.lockFile = ../../Cargo.lock;
          cargoBuildFlags = [
            "--package"
            facts.name
          ];
          # The tests start servers and browsers of their own, which a sandboxed build has no place for.
          doCheck = false;
          nativeBuildInputs = [ pkgs.installShellFiles ];
          postInstall = ''
            $out/bin/planhat-mcp man --out man
            installManPage man/*.1
            for shell in bash zsh fish; do
              installShellCompletion --cmd planhat-mcp --$shell <($out/bin/planhat-mcp completions $shell)
            done
          '';
          meta = {
            description = facts.description;
            homepage = facts.repository;
            license = pkgs.lib.licenses.mit;
            mainProgram = facts.name;
          };
        };
      });
    };
}

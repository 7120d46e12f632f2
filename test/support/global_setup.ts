/** Runs once before all tests. */
export default function setup(): void {
  // Integration tests start the bundled programs: say what to do instead of failing in every one of them.
}
